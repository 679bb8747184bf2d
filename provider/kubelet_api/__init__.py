"""The kubelet port: who calls, what they may, and where it goes.

kubelet_port        the whole port, wired
server              the route table, and which error is which status
authentication      who calls: a client certificate, or a bearer token
token_review        whose token it is, as the API server says
user                who calls, in Kubernetes' terms (pure)
authorization       whether they may, as the API server says
access              what they must be allowed, by method and path (pure)
review              one question to the API server
shared_answers      answers asked for once and kept for a time
request_heads       what of a request and an answer travels through the tunnel (pure)
forward             plain calls: status, headers, body
followed_log        what the reader of a followed log is told when it breaks off (pure)
upgrade             exec, attach, port-forward: a connection taken over and relayed
stream_observer     what a relayed connection must be told when it is lost (pure)
request_trace       the trace to which a request belongs
spdy_observer       frames of SPDY/3.1 (pure)
websocket_observer  frames of the WebSocket channel protocols (pure)
"""

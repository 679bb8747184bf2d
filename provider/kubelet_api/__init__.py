"""The kubelet port: who calls, what they may, and where it goes.

server              the route table, and which error is which status
authentication      who calls
authorization       whether they may
request_heads       what of a request and an answer travels through the tunnel (pure)
forward             plain calls: status, headers, body
upgrade             exec, attach, port-forward: a connection taken over and relayed
stream_observer     what a relayed connection must be told when it is lost (pure)
spdy_observer       frames of SPDY/3.1 (pure)
websocket_observer  frames of the WebSocket channel protocols (pure)
"""

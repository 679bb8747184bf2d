"""What both ends share: HTTP/2 inside one WebSocket with the roles reversed, and the messages of the sync stream.

errors      the TunnelError tree
protocol    our HTTP/2 profile over h2: settings, roles, request and response heads (pure)
pipe        the reliable pipe under HTTP/2: message header, counts, acknowledgements (pure)
flow        receive windows and the memory they may take (pure)
schedule    whose frame is next (pure)
sync        messages of the sync stream and their fragments (pure)
identity    site name <-> certificate names (pure)
stream      Stream: read, write, half-close, reset, with back-pressure
session     Session: drives the protocol over a message pipe; liveness, go-away
"""

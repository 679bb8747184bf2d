"""The edge port, and what the rest of the provider knows of the edge.

edge_client    EdgeClient: calls to the edge, and whether it is there
site_session   SiteSession: at most one live session of the site
held_session   HeldSession: that one, whose it is, which connection may carry it
listener       EdgeListener: the port, and who may open a tunnel
enrolment      Enrolment: /ca.crt and /edge.crt
edge_identity  the client certificate of a connection
rate_limit     how often somebody without a certificate may ask for one (pure)
refusal        Refused: status and reason of what the port does not do
websocket_pipe ServerPipe: aiohttp's WebSocket as the tunnel's message pipe
writer_lease   WriterLease: which of the site's providers accepts the tunnel and writes
"""

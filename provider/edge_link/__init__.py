"""The edge port, and what the rest of the provider knows of the edge.

edge_client    EdgeClient: calls to the edge, and whether it is there
site_session   SiteSession: at most one live session of the site
listener       EdgeListener: who may open a tunnel
websocket_pipe ServerPipe: aiohttp's WebSocket as the tunnel's message pipe
writer_lease   WriterLease: which of the site's providers accepts the tunnel and writes
"""

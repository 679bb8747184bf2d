"""The way up: dial the provider, attach a WebSocket to a session, dial again.

dialer          Dialer: one session after the other, until cancelled or drained
backoff         Backoff: how long to wait before the next dial (pure)
credentials     the client certificate and the site's CA, checked and made into a TLS context
websocket_pipe  one WebSocket as the tunnel's message pipe
dial_error      what went wrong with a dial, in one sentence
"""

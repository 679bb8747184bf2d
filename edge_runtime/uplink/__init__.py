"""The way up: dial the provider, attach a WebSocket to a session, dial again.

dialer          Dialer: keeps one session, carries it from one connection to the next, until drained
dial            ProviderDial: one dial, and what the provider answered
backoff         Backoff: how long to wait before the next dial (pure)
network_watch   NetworkWatch: tells of changes of links and addresses
netlink         what the kernel says of them, and which of it is a change (pure)
credentials     the client certificate and the site's CA, checked and made into a TLS context
websocket_pipe  one WebSocket as the tunnel's message pipe
dial_error      what went wrong with a dial, in one sentence
"""

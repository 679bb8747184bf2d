"""The way up: dial the provider, attach a WebSocket to a session, dial again.

dialer          Dialer: keeps one session, carries it from one connection to the next, until drained
dial            ProviderDial: one dial, and what the provider answered
backoff         Backoff: how long to wait before the next dial (pure)
network_watch   NetworkWatch: tells of changes of links and addresses
netlink         what the kernel says of them, and which of it is a change (pure)
silence_watch   SilenceWatch: gives up what is silent while the provider can be reached
credentials     the client certificate and the site's CAs, checked and made into a TLS context
websocket_pipe  one WebSocket as the tunnel's message pipe
dial_error      what went wrong with a dial, in one sentence

join_command          what edgelet join runs
join                  Join: from one token to an identity that the provider has accepted
joined_edge           JoinedEdge: what a join left on disk for the edge that runs
renewal               Renewal: the next certificate in time, or after the last one has expired
renewal_times         when that is, and how long to wait after a failure (pure)
enrolment             Enrolment: asks the provider for CAs and certificates
enrolment_error       why there is no certificate, what to do, and the exit status of each
enrolment_failure     what kept a request from having an answer
https_request         one HTTPS request, direct or through the environment's proxy
certificate_request   a new key and its CSR, in a process of its own
identity_files        IdentityFiles: the identity folder, and the order in which it is written
durable_files         DurableFiles: the steps that a power cut may fall between
"""

"""What both ends share: HTTP/2 in one WebSocket with the roles reversed, and the sync messages.

errors      the TunnelError tree
trace_context  which trace a call belongs to (pure)
identity    site name <-> certificate names, CA pin, join token (pure)
enrolment   paths, headers and refusals of joining and renewal (pure)
sync        messages of the sync stream (pure)
sync_fragments  the fragments that carry them (pure)
log_positions  how far a followed log was read, told beside it (pure)
byte_queue  bytes on their way through a buffer (pure)
data_path   DATA frames and their windows past h2 (pure)
spdy        frame headers and header blocks of SPDY, as both ends follow them (pure)
spdy_dictionary  a constant of SPDY (pure)
pipe        the reliable pipe under HTTP/2: counts, acknowledgements, replay (pure)
frames      lengths and floods, judged before HTTP/2 is parsed (pure)
heads       request and response heads <-> header lists (pure)
flow        receive windows and the memory they may take (pure)
schedule    whose frame is next (pure)
send_rate   how fast the link is, and how much may wait unsent then (pure)
liveness    when to PING, when to give up (pure)
events      what the protocol reports of bytes that arrived (pure)
profile     names, roles, settings and errors that both ends agree on (pure)
translation  h2's events as ours (pure)
frame_receiver  the frames of one message, each to where it belongs (pure)
protocol    our HTTP/2 profile over h2: bytes in, events out, and back (pure)
inbox       what has arrived for one reader
heap        freed memory that stays in the process
stream      Stream: read, write, half-close, reset, with back-pressure
slots       how many streams may be open, and who waits
outbox      what goes into the next message
handlers    the tasks that answer the client's streams
send_gate   waits until the kernel has little unsent
attachment  one WebSocket while it carries a session, and the tasks that do it
exposition  a registry as text, and what every process tells of itself
tracing     spans of calls, where a collector is named
otel_tracer  the same by OpenTelemetry's SDK, imported only then
metrics     what one end counts, for Prometheus
exchange    messages of the pipe on one side, streams on the other
session     Session: one HTTP/2 session over one WebSocket after another; resume, drain, go-away
"""

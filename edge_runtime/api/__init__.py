"""The kubelet's HTTP API, served to whoever holds the tunnel: one module per route.

routes              the route table
router              Router: path to handler, methods, decoding
request             ApiRequest, ApiError and whole answers
targets             names in a request to pod, container, sandbox; runtime errors to answers
streams_wanted      which standard streams a request asks for (pure)
guarded_calls       calls into pods: held against the policy, written down in the audit log
stream_relay        one upgraded stream to and from the runtime's streaming server
stdin_frames        what an exec's client sends, so that the edge can speak for it (pure)
lost_exec           the end of an exec call whose caller is gone
runtime_connection  one TCP connection to that server
runtime_response    that server's HTTP/1.1 answer (pure)
until_closed        work that ends when nobody waits for it any more
exec                /exec
attach              /attach
port_forward        /portForward
run                 /run
container_logs      /containerLogs
log_query           what a log request asks for (pure)
node_logs           /logs/: files and journal of the machine
node_log_query      what is asked of them (pure)
pods                /pods, /runningpods/
stats               /stats/summary
metrics             /metrics/resource, /metrics/cadvisor
own_metrics         /metrics, /metrics/probes
healthz             /healthz
sync                /sync: desired pods down, statuses and node reports up
sync_sources        what the sync stream needs of the rest of the edge
sync_outbox         what waits to go up, the latest of each (pure)
"""

"""Asks containers on this machine how they are, and keeps what they answered.

thresholds.py      ProbeSpec, Progress, Ticker: when to ask, and what answers add up to, pure
http_message.py    HTTP requests of probes and hooks, answers' heads, redirects, pure
http_get.py        one GET in a kubelet's manner: redirects, no verification, bounded answers
dial.py            TCP connections whose failures read as a kubelet's
prober.py          Prober: one probe of one container: exec, HTTP, TCP or gRPC, with its events
measured_probe.py  MeasuredProbe: counts what came of attempts
results.py         ProbeResults: the newest verdicts on all containers
probe_worker.py    ProbeWorker: asks one question of one container, again and again
prober_manager.py  ProberManager: the workers of all pods
"""

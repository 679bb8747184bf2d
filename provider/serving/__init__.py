"""TLS servers, as both ports of the provider need them.

tls               server contexts, and the checks of their certificate files
https_server      HttpsServer: listen, answer requests, stop
taken_connection  TakenConnection: a client's connection after it was upgraded
health_port       HealthPort: what a kubelet's probes ask, over plain HTTP
"""

"""The cloud side: registers one Node and serves the kubelet API for it.

__main__        python -m provider
cli             the command edgelet-provider
commands/       what an operator does about a site's trust: token, site, ca
app             runs every object and owns the one TaskGroup
site_parts      SiteParts: all objects, put together
own_routes      what the provider itself answers on the kubelet port
loops           loops that it cannot go on without
settings        what the configuration means to each part
config          the configuration file's content (pure)
kubelet_api/    the kubelet port: who may call, which path goes where, bytes
node/           the Node object, its Lease and conditions
status_page/    the site's page
pods/           desired pods down, statuses up
edge_link/      the edge port: the one session of the site, and what others know of it
kube/           calls to the API server
serving/        TLS servers: contexts, listening, connections that are taken over
telemetry/      logging
"""

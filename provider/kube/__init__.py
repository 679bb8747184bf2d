"""The Kubernetes API as raw JSON: nothing here knows what a pod or a site is for.

errors         the KubeError tree
credentials    where the API server is and how the provider proves who it is
answers        reading answers, bounded, with every failure as an ApiError
client         one connection pool, two identities: as_self and as_node
watch          list, then watch, for ever
pace           how fast writes may follow each other that an edge brings about
timestamps     moments as the API writes them
event_writer   Events, written as the node
"""

"""What this machine's owner forbids, whatever the cloud asks for.

The cloud cannot change it: it stands in the edge's own configuration, is read once at start, and
every call and every pod is held against it here.

edge_policy  EdgePolicy: which calls are refused, and which pods are never run (pure)
host_paths   whether a host path lies below an allowed one (pure)
"""

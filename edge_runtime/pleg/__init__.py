"""Pod lifecycle events: what changed in the container runtime, and for which pod.

events.py        compute_events: two looks at the runtime to what happened in between, pure
pod_cache.py     PodCache: the newest runtime status of each pod
newcomers.py     Newcomers: what a worker makes is no news, pure
generic_pleg.py  GenericPLEG: looks at the whole runtime every second; the truth
pod_inspector.py PodInspector: what the runtime has of a pod, with the last words of its containers
evented_pleg.py  EventedPLEG: the runtime's event streams as a hint to look at once
"""

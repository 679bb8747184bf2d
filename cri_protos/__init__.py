"""Messages of the container runtime, generated from our own wire-compatible descriptions.

api.proto                CRI runtime.v1, the calls and fields that edgelet uses
containerd_events.proto  containerd's own event stream on the same socket
regenerate.py            makes api_pb2.py(i) and containerd_events_pb2.py(i) from them
"""

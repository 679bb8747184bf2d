"""Messages of the container runtime, generated from our own wire-compatible descriptions.

api.proto                CRI runtime.v1, the calls and fields that edgelet uses
containerd_events.proto  containerd's own event stream on the same socket
containerd_content.proto what containerd's content store tells of downloads, on the same socket
regenerate.py            makes a _pb2.py and a _pb2.pyi of each of them
"""

"""The container runtime over CRI: the only place that imports gRPC and the generated protos.

cri_client.py         CriClient: one async method per CRI call, values in and values out
cri_sandboxes.py, cri_containers.py, cri_streaming.py, cri_stats.py, cri_images.py
                      its methods by subject
cri_channel.py        CriChannel: the socket, deadlines, gRPC errors to ours
cri_config.py         pod spec to sandbox and container configuration, pure
cri_security.py       security context of sandboxes and containers, pure
cri_resources.py      requests and limits to what the kernel takes, pure
expansion.py          $(NAME) in commands and environment values, pure
cri_encoding.py       our values to protos
cri_decoding.py, stats_decoding.py
                      protos to our values
containerd_events.py  containerd's own event stream, where CRI has none
containerd_content.py what containerd downloads right now
grpc_health.py        check_health: the gRPC health protocol, as probes speak it
errors.py             RuntimeServiceError tree
"""

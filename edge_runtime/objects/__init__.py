"""Values that every part of the edge speaks in; pure.

pod: views over a pod's API JSON. container: the same over one of its containers.
pod_failure: why a pod is ended although it might go on. node: the edge's own Node.
node_selector: whether it is one that is asked for.
sysctls: kernel parameters that a pod may set. pull_records: whose credentials opened which image.
probe_results: what probes found. runtime_status: what the container runtime reports.
runtime_config: what it is asked for. runtime_info: what it is. runtime_stats: what it measures.
node_stats: what machine, pods and containers use.
quantity: resource quantities. pod_resources: a whole pod's requests and limits.
qos: quality-of-service class of a pod.
volume: views over volumes and mounts, and what became of them.
cgroup_names: names and paths of QoS and pod cgroups. duration: durations of the configuration.
go_text: how Go writes durations and quoted text.
field_refs: what the downward API tells of a pod.
eviction_thresholds: how little may be left before pods are ended.
"""

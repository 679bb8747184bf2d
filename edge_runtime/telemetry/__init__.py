"""What the process tells of itself.

logging          structured lines on standard error
metrics          EdgeMetrics: what is counted, for Prometheus
loops            a loop that a mistake ended is started again
kubelet_metrics  KubeletMetrics: what a kubelet counts, under its names
probe_metrics    ProbeMetrics: what came of probes, by container
current_trace    the trace to which what a task does belongs
edge_figures     EdgeFigures: how the edge is, read when somebody collects
"""

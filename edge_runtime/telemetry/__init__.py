"""What the process tells of itself.

logging          structured lines on standard error
metrics          EdgeMetrics: what is counted, for Prometheus
kubelet_metrics  KubeletMetrics: what a kubelet counts, under its names
probe_metrics    ProbeMetrics: what came of probes, by container
edge_figures     EdgeFigures: how the edge is, read when somebody collects
"""

"""What the process tells of itself.

logging  structured lines on standard error
metrics  EdgeMetrics: what is counted, for Prometheus
"""

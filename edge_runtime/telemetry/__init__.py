"""What the process tells of itself.

logging  structured lines on standard error
loops    a loop that a mistake ended is started again
metrics  EdgeMetrics: what is counted, for Prometheus
"""

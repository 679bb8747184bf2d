"""Figures of a running devcluster, each printed beside a baseline of the same run.

figure       a figure with its baseline, and the table of all
setting      what the measurements share: kubectl, the API server, the site's containerd
pod_start    pod created to Running, against bare CRI calls
exec_calls   one short `kubectl exec`, and the throughput of a long one
memory       resident memory of provider and edge
"""

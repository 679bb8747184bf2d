"""Figures, each printed beside a baseline of the same run.

figure             a figure with its baseline, and the table of all
tunnel_ends        both ends of a tunnel on this machine, over loopback or a simulated link
bare_link          plain TCP over a simulated link
tunnel_throughput  one stream and eight, against bare WebSocket messages
long_link          one stream and a keystroke on 100 Mbit/s and 100 ms, against bare TCP
stuck_reader       what a reader that stops costs the others, and in memory
setting            what the measurements on a devcluster share: kubectl, API server, containerd
join_ready         a machine joins until its Node is Ready, against a start without joining
pod_start          pod created to Running, against bare CRI calls
offline_reboot     a reboot while the cloud is away, against the bare CRI calls of the same pods
beside_kubelet     starts, processor time and memory of a site beside a real kubelet
exec_calls         one short `kubectl exec`, and the throughput of a long one
configuration_bytes what ConfigMaps and Services cost a site's link, beside the pods themselves
logs               `kubectl logs` of 100 MB, and how late a followed line is, beside a real kubelet
stats              what scrapes of 100 pods cost the edge
kubelet_port       what it costs to ask who calls the kubelet port, warm and cold
memory             resident memory of provider and edge
"""

"""End pods before the machine runs out of memory, disk, inodes or process ids.

observations.py      what is left of each resource, and what pods use; pure
thresholds.py        ThresholdState: which thresholds are met, since when, which pressures; pure
ranking.py           who goes first; pure
messages.py          a kubelet's words for it; pure
storage_limits.py    which pods use more local storage than they may; pure
pod_usage.py         PodUsageReader: what pods use, asked of kernel, runtime and disk
machine_look.py      MachineLook: what is left of the machine
eviction_manager.py  EvictionManager: looks, reclaims, and ends at most one pod at a time

Source: kubernetes pkg/kubelet/eviction.
"""

"""What machine, pods and containers use: one collection, shared by all who ask.

cadvisor_metrics.py    the page of /metrics/cadvisor, pure
cgroup_counters.py     what the kernel counts for a control group, pure
cgroup_reader.py       CgroupReader: reads it
cpu_rates.py           CpuRates: how fast processors are used, pure
disk_use.py            what lies in a folder
filesystem_space.py    what is left on a filesystem
group_stats_reader.py  GroupStatsReader: a control group's use as values
machine_reader.py      MachineReader: what only the machine as a whole has
merging.py             figures that were read apart, together, pure
metric_family.py       Prometheus' text format, pure
mounted_volumes.py     MountedVolumes: space of volumes that are mounted from elsewhere
network_reader.py      NetworkReader: interfaces of a network namespace
node_details.py        values that the kernel counts besides, pure
node_reader.py         NodeReader: all that the kernel counts
pressure.py            what the kernel tells of waits, pure
resource_metrics.py    the page of /metrics/resource, pure
running_pods.py        which pods and containers there are to measure, pure
stats_collector.py     StatsCollector: collects when asked
storage_reader.py      StorageReader: what lies on disks
summary.py             the JSON of /stats/summary, pure
volume_metrics.py      how full claims are, for /metrics, pure
"""

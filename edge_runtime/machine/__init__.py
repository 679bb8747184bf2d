"""The machine that the edge runs on.

machine_info.py   what it is: processors, memory, identity, addresses
cgroups.py        its control groups: what they can do, and those of pods
cgroup_files.py   the kernel's files for them, of both versions
systemd_slices.py the same asked of systemd, where it makes them
qos_cgroups.py    weights of the classes of pods, kept true as pods come and go
apparmor.py       whether it can confine with AppArmor
oom_score.py      the lowest oom_score_adj that it lets us give
usage.py          how much is left of memory, disk and process ids
conditions.py     node conditions from that and from the runtime's state; pure
node_reporter.py  NodeReporter: all of it as the NodeReport of the sync stream
"""

"""What machine, pods and containers use: one collection, shared by all who ask.

cgroup_counters.py  what the kernel counts for a control group, pure
cgroup_reader.py    CgroupReader: reads it
"""

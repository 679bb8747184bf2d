"""The machine that the edge runs on.

machine_info.py   what it is: processors, memory, identity, addresses
cgroups.py        its control groups: which version, and those of pods
usage.py          how much is left of memory, disk and process ids
conditions.py     node conditions from that and from the runtime's state; pure
node_reporter.py  NodeReporter: all of it as the NodeReport of the sync stream
"""

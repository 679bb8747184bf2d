"""Which pods may run here, and how much of the machine each of them has.

supported_fields.py    what this edgelet cannot run yet; pure
admission_rules.py     a kubelet's questions to a new pod, in a kubelet's order; pure
node_fit.py            whether a pod fits beside the others; pure
node_affinity.py       whether a pod wants this Node; pure
taints.py              whether a pod bears this Node's taints; pure
preemption.py          which pods make room for a critical one; pure
critical_admission.py  CriticalAdmission: ends those, and waits until they stopped
allocation_manager.py  AllocationManager: asks, remembers what was given, decides on resizes
resize.py              what is allocated, what containers have, what to change; pure
resize_queue.py        whose resize comes first, and whether there is room for it; pure
resize_progress.py     ResizeProgress: resizes that wait or are under way, as they are told
"""

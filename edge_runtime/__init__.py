"""The edge runtime: a small kubelet that runs pods through CRI, reached through a tunnel.

command.py    the command ``edgelet``: the edge itself at once, all else through cli.py
run_command.py  ``edgelet run``
cli.py        what has to be parsed: ``edgelet join``, ``version``, help
config_file.py  reads the configuration file
config.py     EdgeConfig: the configuration file as a value, pure
policy_config.py  the parts of it with which a machine's owner guards it, pure
sealing_config.py  the part of it that says where the key of stored secrets is, pure
reserve_config.py  the parts that keep pods from taking all of the machine, pure
housekeeping_config.py  the parts that keep its disk from filling up, pure
app.py        the process: every loop in one TaskGroup, planned stop, exit status
edge_sources.py  who knows what the edge tells of itself
startup.py    what is asked of runtime and machine once
cloud_parts.py  CloudParts: all that talks with the cloud, put together
pod_parts.py  PodParts: all that runs pods, put together
worker_parts.py  their workers, and all that these do to one pod, put together
shared_parts.py  SharedParts: what most of these are made of
pod_builders.py  their volumes, and what measures them, put together
pod_stores.py  PodStores: all that pods have on disk, put together
"""

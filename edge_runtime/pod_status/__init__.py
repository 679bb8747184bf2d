"""The status of a pod as the API has it, computed from what the runtime has; pure.

pod_status.py       compute_pod_status: all of it
pod_phase.py        the phase
pod_conditions.py   the conditions
pod_addresses.py    the addresses
status_resources.py the resources: what is in force
container_status.py statuses of containers
container_state.py  their states
container_readiness.py  whether they have started and are ready
"""

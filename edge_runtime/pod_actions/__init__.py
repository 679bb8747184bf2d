"""What to do next with a pod and its containers; every decision is pure.

pod_actions.py      compute_pod_actions: what to do next
init_actions.py     compute_init_actions: the same for init containers and sidecars
in_place_restart.py when all containers of a pod start anew, and what goes away for that
container_starts.py when a container starts, and as which attempt
container_kills.py  which running containers are killed
restart_policy.py   whether a container that ended starts again
crash_backoff.py    when a crashed container may start again
stop_order.py       for whose end a container's own waits, and how long it gets
endings.py          what ended while a pod was worked on
"""

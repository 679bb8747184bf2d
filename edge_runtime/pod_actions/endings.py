"""What ended while a pod was worked on; pure.

The PLEG wakes a worker for what differs from the cache. What the worker itself saw first, in a look
after a start or a kill, stands there already: nobody else tells of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState, SandboxState

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_status import PodRuntimeStatus


def has_ended_since(before: PodRuntimeStatus, now: PodRuntimeStatus) -> bool:
    """Tell whether a container or sandbox ended that did not show so before.

    Args:
        before: What was decided upon.
        now: What is known by now.
    """
    return not _ended(now) <= _ended(before)


def _ended(status: PodRuntimeStatus) -> set[str]:
    containers = {each.id for each in status.containers if each.state is ContainerState.EXITED}
    sandboxes = {each.id for each in status.sandboxes if each.state is SandboxState.NOT_READY}
    return {*containers, *sandboxes}

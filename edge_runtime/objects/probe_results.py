"""What the probes of one pod's containers found last; pure.

A result belongs to one container id: whatever was found of the attempt before says nothing of the
one that runs now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import ContainerID


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerProbes:
    """The last verdicts on one running container; None where no threshold was reached yet.

    Attributes:
        container_id: The attempt that they were found of.
        started: Startup probe.
        live: Liveness probe.
        ready: Readiness probe.
        failure: What the probe that made ``started`` or ``live`` False said.
    """

    container_id: ContainerID
    started: bool | None = None
    live: bool | None = None
    ready: bool | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeView:
    """The verdicts on one pod's containers.

    Attributes:
        containers: By container name.
    """

    containers: Mapping[str, ContainerProbes] = field(default_factory=dict)

    def of(self, name: str, container_id: ContainerID) -> ContainerProbes:
        """Return the verdicts on this attempt; all None where there are none."""
        found = self.containers.get(name)
        if found is None or found.container_id != container_id:
            return ContainerProbes(container_id=container_id)
        return found


NO_PROBES = ProbeView()

"""What ended meanwhile: containers and sandboxes, those that came meanwhile too."""

from __future__ import annotations

import dataclasses

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus, SandboxState
from edge_runtime.pod_actions.endings import has_ended_since
from tests.fakes.runtime_values import container, sandbox

NOTHING = PodRuntimeStatus(uid=PodUID("u"))
RUNNING = PodRuntimeStatus(uid=PodUID("u"), sandboxes=(sandbox(),), containers=(container(),))
ENDED = dataclasses.replace(
    RUNNING, containers=(dataclasses.replace(container(), state=ContainerState.EXITED),)
)
LOST = dataclasses.replace(
    RUNNING, sandboxes=(dataclasses.replace(sandbox(), state=SandboxState.NOT_READY),)
)


def test_only_an_end_is_news() -> None:
    """A start is the worker's own doing, and what is gone was removed by it."""
    assert not has_ended_since(NOTHING, RUNNING)
    assert not has_ended_since(RUNNING, RUNNING)
    assert not has_ended_since(ENDED, ENDED)
    assert not has_ended_since(ENDED, NOTHING)


def test_end_of_what_ran_or_just_came() -> None:
    """Containers and sandboxes alike."""
    assert has_ended_since(RUNNING, ENDED)
    assert has_ended_since(NOTHING, ENDED)
    assert has_ended_since(RUNNING, LOST)

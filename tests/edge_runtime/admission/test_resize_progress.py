"""How resizes are told: conditions while they wait or go on, one event for each change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edge_runtime.admission.admission_rules import Rejection
from edge_runtime.admission.resize_progress import ResizeProgress
from edge_runtime.objects.pod import Pod, PodUID

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

UID = PodUID("u")
NO_ROOM = Rejection(reason="OutOfcpu", message="no room")


@dataclass
class Told:
    """A clock, and the events that were recorded."""

    now: float = 0.0
    events: list[tuple[str, bool]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def resize(self, pod: Pod, *, reason: str, message: str, is_warning: bool) -> None:
        """Note the event."""
        assert pod.uid == UID
        self.events.append((reason, is_warning))
        self.messages.append(message)

    def progress(self) -> ResizeProgress:
        """What is tested."""
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return ResizeProgress(
            self, monotonic=lambda: self.now, now=lambda: start + timedelta(seconds=self.now)
        )


def pod(generation: int = 2) -> Pod:
    """A pod that is being resized."""
    return Pod(
        {
            "metadata": {"name": "p", "uid": UID, "generation": generation},
            "spec": {"containers": []},
        }
    )


def condition(name: str, since_s: int, **fields: object) -> Json:
    """A condition that holds since then."""
    time = f"2026-01-01T00:00:{since_s:02}Z"
    times = {"lastProbeTime": time, "lastTransitionTime": time}
    return {"type": name, "status": "True", **times, **fields}


def test_waiting_is_told_once_for_each_generation() -> None:
    """And its place in the queue is that of its beginning."""
    told = Told(now=1.0)
    progress = told.progress()
    progress.waits(pod(), NO_ROOM)
    told.now = 9.0
    progress.waits(pod(), NO_ROOM)
    assert told.events == [("ResizeDeferred", True)]
    progress.waits(pod(3), NO_ROOM)
    assert told.events == [("ResizeDeferred", True)] * 2
    assert told.messages[1] == 'Pod resize OutOfcpu: {"generation":3,"error":"no room"}'
    assert progress.waiting_since() == {UID: 1.0}
    pending = condition(
        "PodResizePending", 1, reason="Deferred", message="no room", observedGeneration=3
    )
    assert progress.conditions(UID) == (pending,)
    progress.waits_no_more(UID)
    assert progress.conditions(UID) == ()
    assert progress.waiting_since() == {}


def test_resize_from_start_to_end() -> None:
    """Through an error, which is told once; what is completed is over."""
    told = Told(now=5.0)
    progress = told.progress()
    progress.waits(pod(), NO_ROOM)
    progress.started(pod())
    going_on = condition("PodResizeInProgress", 5, observedGeneration=2)
    assert progress.conditions(UID) == (going_on,)
    told.now = 7.0
    progress.goes_on(pod(3))
    assert progress.conditions(UID) == (going_on,)
    progress.failed(pod(), "EBUSY")
    progress.failed(pod(), "EBUSY")
    assert progress.conditions(UID) == ({**going_on, "reason": "Error", "message": "EBUSY"},)
    progress.completed(pod())
    progress.completed(pod())
    assert progress.conditions(UID) == ()
    assert told.events == [
        ("ResizeDeferred", True),
        ("ResizeStarted", False),
        ("ResizeError", True),
        ("ResizeCompleted", False),
    ]


def test_new_resize_waits_while_the_one_before_goes_on() -> None:
    """Both are told; a new start takes the error of the one before away."""
    progress = Told().progress()
    progress.started(pod())
    progress.failed(pod(), "no")
    progress.waits(pod(3), NO_ROOM)
    types = [each["type"] for each in progress.conditions(UID)]
    assert types == ["PodResizePending", "PodResizeInProgress"]
    progress.started(pod(3))
    assert progress.conditions(UID) == (condition("PodResizeInProgress", 0, observedGeneration=3),)


def test_resize_of_a_process_before_ends_in_words_as_well() -> None:
    """What was under way when edgelet was stopped is found under way."""
    told = Told()
    progress = told.progress()
    progress.goes_on(pod())
    progress.completed(pod())
    assert told.events == [("ResizeCompleted", False)]


def test_a_pod_that_is_gone_leaves_nothing() -> None:
    """Of any of it."""
    progress = Told().progress()
    progress.started(pod())
    progress.failed(pod(), "no")
    progress.waits(pod(), NO_ROOM)
    progress.forget(UID)
    assert progress.conditions(UID) == ()
    assert progress.waiting_since() == {}

"""Events of the edge: its own are told on, whenever they come, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from provider.pods.edge_events import MAX_REMEMBERED, EdgeEvents
from tests.fakes.reports import make_pod
from tunnel.sync import EventAck, EventReport

if TYPE_CHECKING:
    from tunnel.sync import FromProvider

EVENT = EventReport(
    id="e",
    regarding={},
    event_type="Normal",
    reason="R",
    message="m",
    count=1,
    first_timestamp="",
    last_timestamp="",
)


def about(name: str, *, event_id: str = "") -> EventReport:
    """An event about a pod whose UID is its name."""
    regarding = {"kind": "Pod", "namespace": "default", "name": name, "uid": name}
    return msgspec.structs.replace(EVENT, id=event_id or f"about-{name}", regarding=regarding)


class Site:
    """A site of one pod, and what was told."""

    def __init__(self) -> None:
        self.pods: dict[str, Any] = {"a": make_pod("a", uid="a")}
        self.told: list[str] = []
        self.sent: list[FromProvider] = []
        self.events = EdgeEvents(
            node_name="site-a",
            pods=self.pods,
            on_event=lambda event: self.told.append(event.id),
            send=self.sent.append,
        )


def test_event_about_a_pod_of_the_site_is_told() -> None:
    """One about another is answered, so that the edge does not repeat it."""
    site = Site()
    site.events.pods_listed()
    site.events.arrived(about("a"))
    site.events.arrived(about("b"))
    site.events.arrived(msgspec.structs.replace(EVENT, regarding={"uid": 7}))
    assert site.told == ["about-a"]
    assert site.sent == [EventAck(id="about-b"), EventAck(id="e")]


def test_event_about_the_machine_need_not_wait_for_the_pods() -> None:
    """It is about the site's node, whatever it says."""
    site = Site()
    site.events.arrived(msgspec.structs.replace(EVENT, regarding={"kind": "Node", "name": "x"}))
    assert site.told == ["e"]


def test_event_that_comes_before_the_list_waits_for_it() -> None:
    """Said again by another session it is told once; those too many come again with the next."""
    site = Site()
    for _ in range(2):
        for number in range(MAX_REMEMBERED + 1):
            site.events.arrived(about("a", event_id=str(number)))
    assert (site.told, site.sent) == ([], [])
    site.events.pods_listed()
    assert site.told == [str(number) for number in range(MAX_REMEMBERED)]
    assert site.sent == []


def test_event_about_the_end_of_a_pod_is_told_after_it() -> None:
    """As long as not too many others ended since."""
    site = Site()
    site.events.pods_listed()
    site.events.pod_deleted("a", site.pods.pop("a"))
    site.events.arrived(about("a"))
    for number in range(MAX_REMEMBERED):
        name = f"p{number}"
        site.events.pod_deleted(name, make_pod(name, uid=name))
    site.events.arrived(about("a", event_id="late"))
    site.events.arrived(about("p0"))
    assert site.told == ["about-a", "about-p0"]
    assert site.sent == [EventAck(id="late")]

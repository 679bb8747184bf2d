"""The comparison itself: it needs no cluster, and has to see what differs and nothing else."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.e2e.parity.compare import Explanation, differences, explanations, unexplained
from tests.e2e.parity.record import Life

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
STATUS: Json = {
    "phase": "Running",
    "hostIPs": [{"ip": "10.0.0.1"}],
    "podIPs": [{"ip": "10.0.1.2"}],
    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": None}],
    "containerStatuses": [
        {
            "name": "main",
            "containerID": f"containerd://{'a' * 64}",
            "imageID": f"sha256:{'b' * 64}",
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
    ],
}


def life(status: Json, *, node: str, uid: str, events: list[Json] | None = None) -> Life:
    """Return the life of a pod that had one status."""
    pod = {"metadata": {"name": "p", "uid": uid, "namespace": f"ns-{node}"}, "status": status}
    return Life(seen=[pod], settled=pod, gone=True, events=events or [])


def event(message: str, *, uid: str) -> Json:
    """Return an event about the pod."""
    return {
        "type": "Normal",
        "reason": "Started",
        "message": message,
        "involvedObject": {"name": "p", "uid": uid, "fieldPath": "spec.containers{main}"},
    }


def compared(kubelet: Life, site: Life) -> list[str]:
    """Return the places that differ."""
    found = differences({"case": kubelet}, {"case": site}, nodes=("cloud", "site"))
    return [one.where for one in found]


def test_names_times_ids_and_addresses_may_differ() -> None:
    """Two pods that differ in nothing else are alike."""
    other = copy.deepcopy(STATUS)
    other["hostIPs"][0]["ip"] = "192.168.0.9"
    other["podIPs"][0]["ip"] = "10.88.0.7"
    other["containerStatuses"][0]["containerID"] = f"containerd://{'c' * 64}"
    other["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-02-02T10:00:00Z"
    one = life(STATUS, node="cloud", uid="u1", events=[event("on cloud: u1", uid="u1")])
    two = life(other, node="site", uid="u2", events=[event("on site: u2", uid="u2")])
    assert compared(one, two) == []


def test_every_other_field_is_seen() -> None:
    """A changed value, a missing time and another image each have their path."""
    other = copy.deepcopy(STATUS)
    other["phase"] = "Pending"
    other["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    other["containerStatuses"][0]["imageID"] = f"sha256:{'d' * 64}"
    found = compared(life(STATUS, node="cloud", uid="uid-7"), life(other, node="site", uid="uid-7"))
    settled = [where for where in found if where.startswith("case/settled")]
    assert settled == [
        "case/settled/conditions/Ready/lastTransitionTime",
        "case/settled/containerStatuses/main/imageID",
        "case/settled/phase",
    ]
    assert "case/life/phase/Running" in found


def test_an_event_that_only_one_sends_is_seen() -> None:
    """So is one that is sent again where the other is sent once."""
    one = life(STATUS, node="cloud", uid="uid-7", events=[event("x", uid="uid-7")])
    none = life(STATUS, node="site", uid="uid-7")
    assert compared(one, none) == ["case/events/Normal Started x (spec.containers{main})"]
    twice = life(STATUS, node="site", uid="uid-7", events=[{**event("x", uid="uid-7"), "count": 2}])
    assert [where.rpartition("/")[2] for where in compared(one, twice)] == ["count"]


def test_a_row_covers_what_its_three_patterns_match(tmp_path: Path) -> None:
    """Rows are read from Markdown; brackets are letters, a stroke is escaped."""
    document = tmp_path / "parity.md"
    document.write_text(
        "# Title\n\n| where | kubelet | site | why |\n|---|---|---|---|\n"
        "| `*/settled/a` | `[1*` | `absent` | `because` it \\| is |\n"
    )
    (row,) = explanations(document)
    assert row == Explanation(
        where="*/settled/a", kubelet="[1*", site="absent", why="`because` it \\| is"
    )
    one, other = life({"a": [1]}, node="cloud", uid="u-7"), life({}, node="site", uid="u-8")
    found = differences({"c": one}, {"c": other}, nodes=("cloud", "site"))
    assert [one.where for one in unexplained(found, [row])] == ["c/end/a"]

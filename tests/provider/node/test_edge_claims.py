"""What an edge says of its machine, as far as it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from provider.node.edge_claims import believed_report
from tests.fakes.reports import make_report
from tunnel.errors import SyncError


def test_honest_report_is_believed_as_it_is() -> None:
    """Nothing of it changes."""
    assert believed_report(make_report()) == make_report()


@pytest.mark.parametrize(
    "resources",
    [
        {"cpu": "0"},
        {"memory": "7Ei"},
        {"hugepages-2Mi": "0", "example.com/gpu": "4"},
    ],
)
def test_resources_that_can_be(resources: dict[str, str]) -> None:
    """Up to what 64 bits hold; an extended one is for the node to say."""
    assert believed_report(make_report(capacity=resources)).capacity == resources


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": {"cpu": "-1m"}},
        {"capacity": {"cpu": ""}},
        {"capacity": {"": "1"}},
        {"capacity": {"a/b/c": "1"}},
        {"allocatable": {"memory": "8Ei"}},
        {"allocatable": {str(number): "1" for number in range(65)}},
        {"conditions": [{}]},
        {"conditions": [{"type": "Ready", "status": "true"}]},
        {"node_info": {"architecture": "amd64 "}},
        {"node_info": {"bootID": 1}},
        {"volumes_in_use": ["v" * (600 << 10)]},
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    """The API server would refuse the whole Node for some of it."""
    with pytest.raises(SyncError):
        believed_report(make_report(**changes))


def test_conditions_are_the_kubelets_own_and_bounded() -> None:
    """Others are left out; of the rest only what a condition has."""
    ready = {"type": "Ready", "status": "True", "reason": "R\x1b", "message": "m" * 5000}
    other = {"type": "EdgeletTunnelReady", "status": "False"}

    report = believed_report(make_report(conditions=[other, ready | {"lastHeartbeatTime": "x"}]))

    (believed,) = report.conditions
    assert believed == ready | {"reason": "R\ufffd", "message": "m" * 1024}


def test_no_edge_declares_how_its_provider_is_spoken_to() -> None:
    """Nor anything twice, or out of order: the API server refuses that."""
    own = "RestartAllContainersOnContainerExits"
    declared = ["OfTomorrow", own, "ExtendWebSocketsToKubelet", own]
    report = believed_report(make_report(declared_features=declared))
    assert report.declared_features == [own]

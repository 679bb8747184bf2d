"""Whether containers that ended start again: rules, then their own policy, then the pod's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.restart_policy import (
    effective_policy,
    is_restartable,
    restarts_after,
    restarts_killed,
    rule_action,
    should_restart,
)
from tests.fakes.edge_pods import deleted, pod_json
from tests.fakes.runtime_values import container as attempt

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json


def rule(operator: str, *values: int, action: str = "Restart") -> Json:
    """A rule over exit codes."""
    return {"action": action, "exitCodes": {"operator": operator, "values": list(values)}}


def container(policy: str = "", *rules: Json) -> Container:
    """A container with a policy and rules of its own."""
    return Container({"name": "c", "restartPolicy": policy, "restartPolicyRules": list(rules)})


def pod(policy: str = "Always") -> Pod:
    """A pod of one policy."""
    return Pod(pod_json(restartPolicy=policy))


@pytest.mark.parametrize(
    ("rules", "exit_code", "action"),
    [
        ([], 1, ""),
        ([rule("In", 1, 2)], 2, "Restart"),
        ([rule("In", 1, 2)], 3, ""),
        ([rule("NotIn", 0)], 3, "Restart"),
        ([rule("NotIn", 0)], 0, ""),
        ([rule("OfTomorrow", 1)], 1, ""),
        ([rule("In", 1, action="RestartAllContainers"), rule("In", 1)], 1, "RestartAllContainers"),
        ([{"action": "Restart"}], 1, ""),
    ],
)
def test_first_rule_that_fits_decides(rules: list[Json], exit_code: int, action: str) -> None:
    """A rule that is not understood fits nothing."""
    assert rule_action(container("Never", *rules), exit_code) == action


@pytest.mark.parametrize(
    ("pods", "own", "exit_code", "restarts"),
    [
        ("Always", "", 0, True),
        ("Always", "", 1, True),
        ("OnFailure", "", 0, False),
        ("OnFailure", "", 1, True),
        ("Never", "", 1, False),
        # A container's own policy wins over the pod's.
        ("Never", "Always", 0, True),
        ("Never", "OnFailure", 1, True),
        ("Always", "Never", 1, False),
        ("Always", "OnFailure", 0, False),
    ],
)
def test_policy_decides_where_no_rule_does(
    pods: str, own: str, exit_code: int, restarts: bool
) -> None:
    """By the exit code."""
    assert restarts_after(pod(pods), container(own), exit_code) is restarts
    assert effective_policy(pod(pods), container(own)) == (own or pods)
    assert restarts_killed(pod(pods), container(own)) is ((own or pods) != "Never")


@pytest.mark.parametrize("action", ["Restart", "RestartAllContainers"])
def test_rule_wins_over_the_policy(action: str) -> None:
    """But only beside a policy of the container's own, which the API asks for."""
    fitting = rule("In", 42, action=action)
    assert restarts_after(pod("Never"), container("Never", fitting), 42)
    assert not restarts_after(pod("Never"), container("Never", fitting), 1)
    assert not restarts_after(pod("Never"), container("", fitting), 42)


@pytest.mark.parametrize(
    ("pods", "tested", "expected"),
    [
        ("Always", container(), True),
        ("OnFailure", container(), True),
        ("Never", container(), False),
        ("Never", container("Never", rule("In", 1)), True),
        ("Never", container("Never", rule("In", 1, action="RestartAllContainers")), False),
        ("Never", container("", rule("In", 1)), False),
    ],
)
def test_restartable_is_what_starts_again_after_any_end(
    pods: str, tested: Container, expected: bool
) -> None:
    """It decides whether a pod waits for a container that ended."""
    assert is_restartable(pod(pods), tested) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, True),
        (ContainerState.CREATED, True),
        (ContainerState.UNKNOWN, True),
        (ContainerState.RUNNING, False),
        (ContainerState.EXITED, False),
    ],
)
def test_newest_attempt_decides(state: ContainerState | None, expected: bool) -> None:
    """Under Never, what never ended is to run; and nothing of a deleted pod is."""
    newest = None if state is None else attempt(state=state, exit_code=1)
    assert should_restart(pod("Never"), container(), newest) is expected
    assert not should_restart(Pod(deleted(pod("Always").raw)), container(), newest)

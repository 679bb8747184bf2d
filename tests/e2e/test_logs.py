"""Must show 4: kubectl logs with every option, and kubelet's errors."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api_server import ApiServer
from tests.e2e.pods import WAIT_FOR_TERM, container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

POD = "talker"
LINES = [f"line {number}" for number in range(1, 11)]
SCRIPT = (
    "trap 'exit 0' TERM; trap 'echo dying; exit 7' USR1; "
    "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done; "
    "echo up since $(cut -d' ' -f1 /proc/uptime); "
    f"{WAIT_FOR_TERM}"
)


@pytest.fixture(scope="module", autouse=True)
def talker(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that printed ten lines, and prints more when told to."""
    kubectl.apply(pod(POD, container(script=SCRIPT), site=cluster.site))
    kubectl.wait("condition=Ready", f"pod/{POD}")
    eventually(
        lambda: "up since" in kubectl.ok("logs", POD), what="the lines are there", timeout_s=10
    )


def say(kubectl: Kubectl, text: str) -> None:
    """Make the pod print a line: what process 1 has as standard output goes to the log."""
    kubectl.ok("exec", POD, "--", "sh", "-c", f"echo {text} > /proc/1/fd/1")


def parse_timestamp(line: str) -> datetime:
    """Return the RFC 3339 time that starts a line of `kubectl logs --timestamps`."""
    stamp = line.split(" ", 1)[0]
    whole, _, rest = stamp.partition(".")
    digits = rest.rstrip("Z").split("+")[0][:6]
    return datetime.fromisoformat(f"{whole}.{digits:0<6}+00:00")


def test_all_lines_come_in_order(kubectl: Kubectl) -> None:
    """Without options everything is there from the first line on."""
    assert kubectl.ok("logs", POD).splitlines()[:10] == LINES


def test_tail(kubectl: Kubectl) -> None:
    """The last three lines and no more; none at all for 0."""
    say(kubectl, "the last one")
    whole = kubectl.ok("logs", POD).splitlines()
    assert kubectl.ok("logs", POD, "--tail=3").splitlines() == whole[-3:]
    assert kubectl.ok("logs", POD, "--tail=0") == ""
    assert kubectl.ok("logs", POD, "--tail=1000").splitlines() == whole


def test_limit_bytes(kubectl: Kubectl) -> None:
    """Exactly as many bytes as asked for."""
    assert kubectl.ok("logs", POD, "--limit-bytes=9") == "line 1\nli"


def test_timestamps(kubectl: Kubectl) -> None:
    """Each line starts with the time the runtime wrote it."""
    lines = kubectl.ok("logs", POD, "--timestamps").splitlines()
    assert [line.split(" ", 1)[1] for line in lines[:10]] == LINES
    stamps = [parse_timestamp(line) for line in lines]
    assert stamps == sorted(stamps)
    assert abs((datetime.now(UTC) - stamps[0]).total_seconds()) < 3600


def test_since(kubectl: Kubectl) -> None:
    """Relative and absolute times leave out what is older, and only that."""
    first = parse_timestamp(kubectl.ok("logs", POD, "--timestamps").splitlines()[0])
    eventually(
        lambda: (datetime.now(UTC) - first).total_seconds() > 6,
        what="the first lines are 6 s old",
        timeout_s=10,
    )
    say(kubectl, "fresh words")
    recent = kubectl.ok("logs", POD, "--since=5s").splitlines()
    assert "fresh words" in recent
    assert not set(recent) & set(LINES)
    stamped = kubectl.ok("logs", POD, "--timestamps").splitlines()
    moment = next(line for line in stamped if line.endswith("fresh words")).split(" ", 1)[0]
    since = kubectl.ok("logs", POD, f"--since-time={moment}").splitlines()
    assert since[0] == "fresh words"
    assert kubectl.ok("logs", POD, "--since=1h").splitlines()[:10] == LINES


def test_a_followed_line_arrives_within_a_second(kubectl: Kubectl) -> None:
    """From the runtime's own time stamp to kubectl's output: under a second, five times."""
    with kubectl.running("logs", "-f", "--timestamps", POD) as logs:
        logs.line(containing="line 10")
        for number in range(5):
            say(kubectl, f"marker {number}")
            line = logs.line(containing=f"marker {number}")
            delay_s = line.arrived - parse_timestamp(line.text).timestamp()
            assert delay_s < 1.0, f"marker {number} took {delay_s:.3f} s"


def test_follow_with_tail_starts_at_the_end(kubectl: Kubectl) -> None:
    """`-f --tail=0` shows nothing until something is printed."""
    with kubectl.running("logs", "-f", "--tail=0", POD) as logs:
        # The follower is there once a line shows; repeat, since nothing tells when it began.
        deadline = time.monotonic() + 15
        while True:
            say(kubectl, "only this")
            try:
                assert logs.line(timeout_s=2).text == "only this"
            except AssertionError:
                assert time.monotonic() < deadline
                continue
            break


def test_follow_ends_with_the_container(cluster: Cluster, kubectl: Kubectl) -> None:
    """The follower returns by itself, with exit status 0, once the container has ended."""
    brief = pod(
        "brief",
        container(script="for i in 1 2 3 4; do echo tick $i; sleep 0.5; done"),
        site=cluster.site,
        restartPolicy="Never",
    )
    kubectl.apply(brief)
    eventually(
        lambda: kubectl.run("logs", "brief").status == 0, what="brief has a log", timeout_s=30
    )
    outcome = kubectl.run("logs", "-f", "brief", timeout_s=30)
    assert outcome.status == 0, outcome
    assert outcome.text.splitlines() == [f"tick {number}" for number in (1, 2, 3, 4)]


def test_previous_after_a_crash(kubectl: Kubectl) -> None:
    """`--previous` shows the run that crashed, the plain call the new one."""
    refused = kubectl.run("logs", POD, "--previous")
    assert refused.status != 0
    assert f'previous terminated container "main" in pod "{POD}" not found' in refused.error
    crashed_run = kubectl.ok("logs", POD).splitlines()
    kubectl.run("exec", POD, "--", "kill", "-USR1", "1")
    kubectl.wait("jsonpath={.status.containerStatuses[0].restartCount}=1", f"pod/{POD}")
    kubectl.wait("condition=Ready", f"pod/{POD}")
    previous = kubectl.ok("logs", POD, "--previous").splitlines()
    assert previous[: len(crashed_run)] == crashed_run
    assert previous[-1] == "dying"
    current = eventually(
        lambda: [x for x in kubectl.ok("logs", POD).splitlines() if "up since" in x],
        what="the new run has printed",
        timeout_s=10,
    )
    assert not set(current) & set(crashed_run)
    (status,) = kubectl.json("get", "pod", POD)["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["restartCount"] == 1


def test_kubectl_refuses_what_the_api_does_not_know(kubectl: Kubectl) -> None:
    """An unknown pod and an unknown container are refused before the node is asked."""
    no_pod = kubectl.run("logs", "nobody")
    assert (no_pod.status, 'pods "nobody" not found' in no_pod.error) == (1, True), no_pod
    no_container = kubectl.run("logs", POD, "-c", "nothing")
    assert no_container.status == 1
    assert "container nothing is not valid for pod" in no_container.error


def test_the_node_answers_for_what_it_does_not_have_as_a_kubelet(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """Through the API server's node proxy: 404 with kubelet's words, and 400 for a bad query."""
    api = ApiServer(cluster.environment["KUBECONFIG"])
    logs = f"/api/v1/nodes/{cluster.site}/proxy/containerLogs/{kubectl.namespace}"
    assert api.get(f"{logs}/nobody/main") == (404, 'pod "nobody" does not exist')
    expected = f'container "nothing" not found in pod "{POD}"'
    assert api.get(f"{logs}/{POD}/nothing") == (404, expected)
    status, body = api.get(f"{logs}/{POD}/main?tailLines=-1")
    assert (status, body.strip()) == (422, '{"message": "Invalid request."}')
    status, body = api.get(f"{logs}/{POD}/main?sinceTime=yesterday")
    assert (status, body.strip()) == (400, '{"message": "Unable to decode query."}')

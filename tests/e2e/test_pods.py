"""Must show 2: what a pod's author relies on, from its first container's start to its last's end.

All pods are made at once; each test looks at its own.
"""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pods import IDLE, WAIT_FOR_TERM, container, pod
from tests.e2e.told import becomes, conditions, containers, ends, events, output, status, tells
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]


def sh(script: str) -> Json:
    """Return an exec action of a shell script."""
    return {"exec": {"command": ["sh", "-c", script]}}


def sidecar(name: str, *, script: str = IDLE, **fields: Any) -> Json:  # noqa: ANN401
    """Return a restartable init container."""
    return container(name, script=script, restartPolicy="Always", **fields)


def slow_to_end(seconds: int, code: int = 0) -> str:
    """Return a script that takes so long to end when it is told to."""
    return f"trap 'echo ending; sleep {seconds}; exit {code}' TERM; {WAIT_FOR_TERM}"


def lifecycle_pods(site: str) -> list[Json]:
    """Return the pods about containers' order, hooks and restarts."""
    return [
        pod(
            "order",
            container(script="echo main"),
            site=site,
            restartPolicy="Never",
            initContainers=[
                container("first", script="sleep 1"),
                sidecar("helper", startupProbe={**sh("test -e /tmp/up"), "periodSeconds": 1},
                        script=f"(sleep 1; touch /tmp/up) & {IDLE}"),
                container("second", script="true"),
            ],
        ),
        pod("bad-init", site=site, restartPolicy="Never",
            initContainers=[container("first", script="exit 6")]),
        pod("hooks",
            container(script="while ! test -e /tmp/hooked; do sleep 0.1; done; " + IDLE,
                      lifecycle={"postStart": sh("touch /tmp/hooked"),
                                 "preStop": sh("echo bye > /proc/1/fd/1")}),
            site=site, terminationGracePeriodSeconds=10),
        pod("bad-post-start", container(lifecycle={"postStart": sh("echo no >&2; exit 9")}),
            site=site),
        pod("sleep-hook", container(lifecycle={"preStop": {"sleep": {"seconds": 2}}}), site=site,
            terminationGracePeriodSeconds=20),
        pod("http-hook",
            container(script="mkdir /tmp/w; echo ok > /tmp/w/hook; httpd -f -vv -p 8080 -h /tmp/w"
                      " & trap 'exit 0' TERM; " + WAIT_FOR_TERM,
                      lifecycle={"preStop": {"httpGet": {"port": 8080, "path": "/hook"}}}),
            site=site, terminationGracePeriodSeconds=10),
        pod("deadline", site=site, activeDeadlineSeconds=3),
        pod("rules",
            container(script="exit 42", restartPolicy="Never", restartPolicyRules=[
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]),
            site=site, restartPolicy="Never"),
        pod("once", container(script="exit 3", restartPolicy="Never"), container("other"),
            site=site),
        pod("on-failure", container(script="exit 0"), site=site, restartPolicy="OnFailure"),
        pod("back-off", container(script="exit 1"), site=site),
        pod("stop-order", container(script=slow_to_end(1)), site=site,
            terminationGracePeriodSeconds=20,
            initContainers=[sidecar("one", script=f"trap 'exit 0' TERM; {WAIT_FOR_TERM}"),
                            sidecar("two", script=f"trap 'exit 0' TERM; {WAIT_FOR_TERM}")]),
        pod("job-with-sidecar", container(script="sleep 1"), site=site, restartPolicy="Never",
            initContainers=[sidecar("helper")]),
        pod("sandbox-loss", site=site),
        pod("debugged", site=site),
        pod("grace", container(script=f"trap '' TERM; {WAIT_FOR_TERM}"), site=site,
            terminationGracePeriodSeconds=60),
        pod("message", container(script="echo last words > /dev/termination-log; exit 2"),
            container("logs", script="echo from the log; exit 2",
                      terminationMessagePolicy="FallbackToLogsOnError"),
            site=site, restartPolicy="Never"),
        pod("resized", container(resources={"requests": {"cpu": "20m", "memory": "16Mi"},
                                            "limits": {"cpu": "50m", "memory": "32Mi"}}),
            site=site),
        pod("gated", site=site, readinessGates=[{"conditionType": "example.com/open"}]),
    ]  # fmt: skip


def probe_pods(site: str) -> list[Json]:
    """Return the pods about probes."""
    serve = "mkdir /tmp/w; echo ok > /tmp/w/ready; trap 'exit 0' TERM; httpd -p 8080 -h /tmp/w; "
    every = {"periodSeconds": 1, "failureThreshold": 1}
    return [
        pod("ready-exec", container(script=f"(sleep 2; touch /tmp/r) & {IDLE}",
                                    readinessProbe={**sh("test -e /tmp/r"), **every}), site=site),
        pod("ready-http", container(script=serve + WAIT_FOR_TERM, readinessProbe={
            "httpGet": {"port": 8080, "path": "/ready"}, **every}), site=site),
        pod("unready-http", container(script=serve + WAIT_FOR_TERM, readinessProbe={
            "httpGet": {"port": 8080, "path": "/absent"}, **every}), site=site),
        pod("ready-tcp", container(script=serve + WAIT_FOR_TERM, readinessProbe={
            "tcpSocket": {"port": 8080}, **every}), site=site),
        pod("unready-grpc", container(readinessProbe={"grpc": {"port": 9}, **every}), site=site),
        pod("not-live", container(script=f"trap '' TERM; {WAIT_FOR_TERM}", livenessProbe={
            **sh("echo sick; exit 1"), **every, "terminationGracePeriodSeconds": 1}),
            site=site, terminationGracePeriodSeconds=300),
        pod("never-started", container(startupProbe={**sh("exit 1"), **every},
                                       livenessProbe={**sh("exit 1"), **every}), site=site),
    ]  # fmt: skip


def rejected_pods(site: str) -> list[Json]:
    """Return pods that a kubelet refuses to run: the scheduler is passed by with `nodeName`."""
    huge = container(resources={"requests": {"cpu": "4000"}})
    port = container(ports=[{"containerPort": 80, "hostPort": 31999}])
    made = [
        pod("too-big", huge, site=site),
        pod("elsewhere", site=site, nodeSelector={"kubernetes.io/hostname": "another"}),
        pod("sysctl", site=site,
            securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}),
        pod("port-one", port, site=site),
    ]  # fmt: skip
    for one in made:
        one["spec"]["nodeName"] = site
    return made


@pytest.fixture(scope="module", autouse=True)
def applied(cluster: Cluster, kubectl: Kubectl) -> Iterator[None]:
    """All pods, made in one call; what ignores SIGTERM for minutes is not waited for."""
    site = cluster.site
    kubectl.apply(*lifecycle_pods(site), *probe_pods(site), *rejected_pods(site))
    yield
    kubectl.ok("delete", "pod", "--all", "--grace-period=1", "--wait=false")


def test_init_containers_run_one_after_the_other_and_a_sidecar_stays(kubectl: Kubectl) -> None:
    """Each starts when the one before has ended, or has started if it is a sidecar."""
    told = ends(kubectl, "order")
    parts = {name: one["state"]["terminated"] for name, one in containers(told).items()}
    assert parts["first"]["finishedAt"] <= parts["helper"]["startedAt"]
    assert parts["helper"]["startedAt"] < parts["second"]["startedAt"]
    assert parts["second"]["finishedAt"] <= parts["main"]["startedAt"]
    assert parts["helper"]["finishedAt"] >= parts["main"]["finishedAt"]
    assert conditions(told)["Initialized"]["reason"] == "PodCompleted"


def test_an_init_container_that_fails_ends_a_pod_that_is_never_restarted(kubectl: Kubectl) -> None:
    """Its containers never start."""
    told = containers(ends(kubectl, "bad-init", "Failed"))
    assert told["first"]["state"]["terminated"]["exitCode"] == 6
    assert told["main"]["state"]["waiting"]["reason"] == "PodInitializing"


def test_hooks_run_after_the_start_and_before_the_stop(kubectl: Kubectl) -> None:
    """PostStart ends before the container counts as running; preStop ends before SIGTERM."""
    kubectl.wait("condition=Ready", "pod/hooks")
    with kubectl.running("logs", "--follow", "hooks") as log:
        kubectl.ok("delete", "pod", "hooks", "--wait=false")
        assert log.line(containing="bye", timeout_s=20).text == "bye"


def test_a_post_start_hook_that_fails_kills_its_container(kubectl: Kubectl) -> None:
    """The event and the reason are a kubelet's."""
    message = tells(kubectl, "bad-post-start", "FailedPostStartHook")
    assert "PostStartHook failed" in message
    becomes(
        kubectl,
        "bad-post-start",
        lambda told: (
            containers(told)["main"]["state"].get("waiting", {}).get("reason")
            in {"PostStartHookError", "CrashLoopBackOff"}
        ),
    )


def test_a_sleep_hook_delays_the_stop(kubectl: Kubectl) -> None:
    """The container runs on while its hook sleeps, and then ends well."""
    kubectl.wait("condition=Ready", "pod/sleep-hook")
    with kubectl.running("get", "pod", "sleep-hook", "--watch", "-o", "json") as watch:
        watch.line(containing="{")
        kubectl.ok("delete", "pod", "sleep-hook", "--wait=false")
        started = watch.line(containing='"deletionTimestamp"', timeout_s=10)
        ended = watch.line(containing='"terminated"', timeout_s=20)
    assert ended.arrived - started.arrived >= 1.5


def test_an_http_hook_reaches_its_container(kubectl: Kubectl) -> None:
    """The container's server sees the request before it is told to end."""
    kubectl.wait("condition=Ready", "pod/http-hook")
    with kubectl.running("logs", "--follow", "http-hook") as log:
        kubectl.ok("delete", "pod", "http-hook", "--wait=false")
        log.line(containing="/hook", timeout_s=20)


def test_a_pod_that_is_active_for_too_long_fails(kubectl: Kubectl) -> None:
    """Phase, reason, message and event are a kubelet's."""
    told = ends(kubectl, "deadline", "Failed")
    assert told["reason"] == "DeadlineExceeded"
    expected = "Pod was active on the node longer than the specified deadline"
    assert told["message"] == expected
    tells(kubectl, "deadline", "DeadlineExceeded", expected)


def test_restart_rules_outweigh_the_policy(kubectl: Kubectl) -> None:
    """An exit code that a rule names is restarted in a pod that never restarts."""
    told = becomes(kubectl, "rules", lambda told: containers(told)["main"]["restartCount"] >= 1)
    assert told["phase"] == "Running"


def test_a_container_may_have_a_policy_of_its_own(kubectl: Kubectl) -> None:
    """It ends for good in a pod whose other container runs on."""
    told = becomes(kubectl, "once", lambda told: "running" in containers(told)["other"]["state"])
    told = becomes(kubectl, "once", lambda told: "terminated" in containers(told)["main"]["state"])
    main = containers(told)["main"]
    assert (main["state"]["terminated"]["exitCode"], main["restartCount"]) == (3, 0)
    assert told["phase"] == "Running"


def test_on_failure_does_not_restart_what_went_well(kubectl: Kubectl) -> None:
    """The pod has succeeded with no restart."""
    assert containers(ends(kubectl, "on-failure"))["main"]["restartCount"] == 0


def test_crashes_back_off(kubectl: Kubectl) -> None:
    """The waiting message, the last state and the event are a kubelet's."""
    told = becomes(
        kubectl,
        "back-off",
        lambda told: (
            containers(told)["main"]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        ),
    )
    main = containers(told)["main"]
    # A busy machine may show the next one first.
    message = main["state"]["waiting"]["message"]
    assert re.match(r"back-off [124]0s restarting failed container=main pod=", message)
    assert main["lastState"]["terminated"]["exitCode"] == 1
    tells(kubectl, "back-off", "BackOff", "Back-off restarting failed container main in pod")


def test_sidecars_stop_after_the_rest_and_in_reverse(kubectl: Kubectl) -> None:
    """Each has ended when the one before it in the spec is told to end."""
    kubectl.wait("condition=Ready", "pod/stop-order")
    kubectl.ok("patch", "pod", "stop-order", "--type=merge", "-p",
               json.dumps({"metadata": {"finalizers": ["example.com/hold"]}}))  # fmt: skip
    kubectl.ok("delete", "pod", "stop-order", "--wait=false")
    told = becomes(
        kubectl,
        "stop-order",
        lambda told: all("terminated" in one["state"] for one in containers(told).values()),
    )
    ended = {n: one["state"]["terminated"]["finishedAt"] for n, one in containers(told).items()}
    assert ended["main"] <= ended["two"] <= ended["one"]
    kubectl.ok("patch", "pod", "stop-order", "--type=merge", "-p",
               json.dumps({"metadata": {"finalizers": None}}))  # fmt: skip


def test_a_sidecar_does_not_keep_its_pod_alive(kubectl: Kubectl) -> None:
    """The pod succeeds when its work is done."""
    assert "terminated" in containers(ends(kubectl, "job-with-sidecar"))["helper"]["state"]


def test_a_lost_sandbox_is_made_again(cluster: Cluster, kubectl: Kubectl) -> None:
    """The pod gets another sandbox and its container another start."""
    kubectl.wait("condition=Ready", "pod/sandbox-loss")
    selector = 'labels."io.kubernetes.pod.name"==sandbox-loss'
    kind = 'labels."io.cri-containerd.kind"==sandbox'
    (sandbox,) = cluster.ctr("containers", "ls", "-q", f"{selector},{kind}").split()
    cluster.ctr("tasks", "kill", "--signal", str(int(signal.SIGKILL)), sandbox)
    tells(kubectl, "sandbox-loss", "SandboxChanged")
    told = becomes(
        kubectl,
        "sandbox-loss",
        lambda told: (
            containers(told)["main"]["restartCount"] == 1
            and conditions(told)["Ready"]["status"] == "True"
        ),
    )
    assert told["podIP"]


def test_kubectl_debug_adds_a_container(kubectl: Kubectl) -> None:
    """It sees the processes of its target, and its end is told."""
    kubectl.wait("condition=Ready", "pod/debugged")
    kubectl.ok(
        "debug", "debugged", "--image=docker.io/library/busybox:latest", "--target=main",
        "--container=tool", "--image-pull-policy=IfNotPresent", "--",
        "sh", "-c", "grep -l sleep /proc/[0-9]*/cmdline && echo seen=yes",
    )  # fmt: skip
    told = becomes(
        kubectl,
        "debugged",
        lambda told: "terminated" in containers(told).get("tool", {}).get("state", {}),
    )
    assert containers(told)["tool"]["state"]["terminated"]["exitCode"] == 0
    assert output(kubectl, "debugged", "tool")["seen"] == "yes"
    assert told["phase"] == "Running"


def test_a_grace_period_only_shrinks(kubectl: Kubectl) -> None:
    """A second delete with less grace ends at once a process that ignores SIGTERM."""
    kubectl.wait("condition=Ready", "pod/grace")
    kubectl.ok("delete", "pod", "grace", "--wait=false")
    tells(kubectl, "grace", "Killing")
    kubectl.ok("delete", "pod", "grace", "--grace-period=1", "--timeout=20s", timeout_s=40)


def test_last_words_are_read(kubectl: Kubectl) -> None:
    """From the file, or from the log where the file is empty and the policy says so."""
    told = containers(ends(kubectl, "message", "Failed"))
    assert told["main"]["state"]["terminated"]["message"] == "last words\n"
    assert told["logs"]["state"]["terminated"]["message"] == "from the log\n"


def test_resources_are_resized_in_place(kubectl: Kubectl) -> None:
    """The container keeps running, and the status tells what is in force."""
    kubectl.wait("condition=Ready", "pod/resized")
    wanted = {
        "requests": {"cpu": "30m", "memory": "16Mi"},
        "limits": {"cpu": "70m", "memory": "48Mi"},
    }
    change = {"spec": {"containers": [{"name": "main", "resources": wanted}]}}
    kubectl.ok("patch", "pod", "resized", "--subresource=resize", "-p", json.dumps(change))
    told = becomes(
        kubectl, "resized", lambda told: containers(told)["main"].get("resources") == wanted
    )
    assert containers(told)["main"]["restartCount"] == 0
    assert containers(told)["main"]["allocatedResources"] == wanted["requests"]
    assert not {"PodResizePending", "PodResizeInProgress"} & conditions(told).keys()
    limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    assert kubectl.run("exec", "resized", "--", "sh", "-c", limit).text.strip() == str(48 << 20)


def test_a_readiness_gate_is_waited_for(kubectl: Kubectl) -> None:
    """The pod is ready when somebody else's condition is true, which then stays."""
    told = becomes(
        kubectl, "gated", lambda told: conditions(told)["ContainersReady"]["status"] == "True"
    )
    assert conditions(told)["Ready"]["reason"] == "ReadinessGatesNotReady"
    gate = {"type": "example.com/open", "status": "True"}
    kubectl.ok("patch", "pod", "gated", "--subresource=status", "-p",
               json.dumps({"status": {"conditions": [gate]}}))  # fmt: skip
    told = becomes(kubectl, "gated", lambda told: conditions(told)["Ready"]["status"] == "True")
    assert conditions(told)["example.com/open"]["status"] == "True"


@pytest.mark.parametrize("name", ["ready-exec", "ready-http", "ready-tcp"])
def test_readiness_follows_the_probe(kubectl: Kubectl, name: str) -> None:
    """Exec, HTTP and TCP."""
    kubectl.wait("condition=Ready", f"pod/{name}")


def test_a_readiness_probe_that_fails_says_how(kubectl: Kubectl) -> None:
    """HTTP and gRPC: unready, running, with an event."""
    expected = "Readiness probe failed: HTTP probe failed with statuscode: 404"
    tells(kubectl, "unready-http", "Unhealthy", expected)
    tells(kubectl, "unready-grpc", "Unhealthy", "Readiness probe failed:")
    for name in ("unready-http", "unready-grpc"):
        told = status(kubectl, name)
        assert (told["phase"], conditions(told)["Ready"]["status"]) == ("Running", "False")


def test_a_liveness_probe_that_fails_restarts_within_the_probes_grace(kubectl: Kubectl) -> None:
    """The probe's own grace period outweighs the pod's five minutes."""
    becomes(kubectl, "not-live", lambda told: containers(told)["main"]["restartCount"] >= 1)
    tells(kubectl, "not-live", "Unhealthy", "Liveness probe failed: sick")
    tells(kubectl, "not-live", "Killing", "Container main failed liveness probe, will be restarted")


def test_only_the_startup_probe_runs_until_a_container_has_started(kubectl: Kubectl) -> None:
    """It is restarted for that, and not for its liveness."""
    becomes(kubectl, "never-started", lambda told: containers(told)["main"]["restartCount"] >= 1)
    told = events(kubectl, "never-started")
    assert any("failed startup probe" in one for one in told["Killing"]), told
    assert not [one for one in told["Unhealthy"] if "Liveness" in one]


@pytest.mark.parametrize(
    ("name", "reason", "text"),
    [
        ("too-big", "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu"),
        ("elsewhere", "NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed"),
        ("sysctl", "SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
    ],
)
def test_what_does_not_fit_is_refused(kubectl: Kubectl, name: str, reason: str, text: str) -> None:
    """The pod is Failed with a kubelet's reason and message, and an event says the same."""
    told = ends(kubectl, name, "Failed")
    assert told["reason"] == reason
    assert text in told["message"]
    tells(kubectl, name, reason)


def test_a_host_port_is_given_once(cluster: Cluster, kubectl: Kubectl) -> None:
    """The second pod that wants it is refused."""
    kubectl.wait("condition=Ready", "pod/port-one")
    second = pod("port-two", container(ports=[{"containerPort": 80, "hostPort": 31999}]),
                 site=cluster.site, nodeName=cluster.site)  # fmt: skip
    kubectl.apply(second)
    assert ends(kubectl, "port-two", "Failed")["reason"] == "NodePorts"


def test_a_status_says_what_a_kubelets_says(kubectl: Kubectl) -> None:
    """Every field that a running pod has under a kubelet."""
    kubectl.wait("condition=Ready", "pod/debugged")
    document = kubectl.json("get", "pod", "debugged")
    told = document["status"]
    main = containers(told)["main"]
    assert main["started"] is True
    assert main["containerID"].startswith("containerd://")
    assert main["imageID"]
    assert told["qosClass"] == "BestEffort"
    assert told["hostIPs"][0]["ip"] == told["hostIP"]
    assert told["podIPs"][0]["ip"] == told["podIP"]
    assert told["startTime"]
    generation = document["metadata"]["generation"]
    eventually(
        lambda: status(kubectl, "debugged").get("observedGeneration") == generation,
        what="the status is of the newest generation",
        timeout_s=10,
    )

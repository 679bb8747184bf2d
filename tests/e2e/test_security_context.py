"""Whom containers run as and what they may do, as seen from inside them."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster.netns import inside
from tests.e2e.pods import IDLE, container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl
    from tests.e2e.pods import Json

# Bits of linux/capability.h.
NET_BIND_SERVICE, SYS_ADMIN = 10, 21
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
HOST_PORT = 28_080


def run(kubectl: Kubectl, cluster: Cluster, name: str, *containers: Json, **fields: object) -> None:
    """Run a pod until it is ready."""
    kubectl.apply(pod(name, *containers, site=cluster.site, **fields))
    kubectl.wait("condition=Ready", f"pod/{name}")


def within(kubectl: Kubectl, name: str, script: str, *, of: str = "main") -> str:
    """Return what a shell script prints in a container."""
    return kubectl.ok("exec", name, "-c", of, "--", "sh", "-c", script).strip()


def proc_status(kubectl: Kubectl, name: str, *, of: str = "main") -> dict[str, str]:
    """Return /proc/1/status of a container."""
    lines = within(kubectl, name, "cat /proc/1/status", of=of).splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key: value.strip() for key, value in pairs}


def waiting(kubectl: Kubectl, name: str) -> tuple[str, str]:
    """Return why a pod's container waits."""
    statuses = kubectl.json("get", "pod", name)["status"].get("containerStatuses") or [{}]
    found = statuses[0].get("state", {}).get("waiting", {})
    return found.get("reason", ""), found.get("message", "")


def expect_waiting(kubectl: Kubectl, name: str, reason: str, text: str) -> None:
    """Wait until a pod's container waits for that reason; remove the pod."""
    eventually(
        lambda: waiting(kubectl, name)[0] == reason and text in waiting(kubectl, name)[1],
        what=f"{name} waits with {reason}: {text}",
        timeout_s=30,
    )
    kubectl.ok("delete", "pod", name, "--wait=true")


def test_users_and_groups(kubectl: Kubectl, cluster: Cluster) -> None:
    """The pod's, unless the container says otherwise."""
    context = {
        "runAsUser": 1000,
        "runAsGroup": 2000,
        "fsGroup": 3000,
        "supplementalGroups": [4000],
    }
    other = container("other", securityContext={"runAsUser": 1001, "runAsGroup": 2001})
    run(kubectl, cluster, "users", container(), other, securityContext=context)
    assert within(kubectl, "users", "id -u; id -g; id -G").split("\n") == [
        "1000",
        "2000",
        "2000 3000 4000",
    ]
    assert within(kubectl, "users", "id -u; id -g", of="other").split() == ["1001", "2001"]


@pytest.mark.parametrize(
    ("name", "context", "text"),
    [
        ("root-image", {}, "container has runAsNonRoot and image will run as root"),
        ("root-user", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ],
)
def test_root_is_refused_where_it_may_not_be(
    kubectl: Kubectl, cluster: Cluster, name: str, context: Json, text: str
) -> None:
    """In a kubelet's words."""
    refused = container(securityContext={"runAsNonRoot": True, **context})
    kubectl.apply(pod(name, refused, site=cluster.site))
    expect_waiting(kubectl, name, "CreateContainerConfigError", text)


def test_somebody_else_than_root_runs(kubectl: Kubectl, cluster: Cluster) -> None:
    """With runAsNonRoot and a user."""
    context = {"runAsNonRoot": True, "runAsUser": 65534}
    run(kubectl, cluster, "nobody", securityContext=context)
    assert within(kubectl, "nobody", "id -u") == "65534"


def test_capabilities_and_privileges(kubectl: Kubectl, cluster: Cluster) -> None:
    """Added, dropped, all of them; no new ones where they are forbidden."""
    few = {
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "allowPrivilegeEscalation": False,
    }
    run(
        kubectl,
        cluster,
        "capabilities",
        container(),
        container("few", securityContext=few),
        container("all", securityContext={"privileged": True}),
    )
    found = {name: proc_status(kubectl, "capabilities", of=name) for name in ("main", "few", "all")}
    effective = {name: int(status["CapEff"], 16) for name, status in found.items()}
    assert effective["few"] == 1 << NET_BIND_SERVICE
    assert not effective["main"] & 1 << SYS_ADMIN
    assert effective["all"] & 1 << SYS_ADMIN
    assert {name: status["NoNewPrivs"] for name, status in found.items()} == {
        "main": "0",
        "few": "1",
        "all": "0",
    }


def test_a_root_file_system_that_cannot_be_written(kubectl: Kubectl, cluster: Cluster) -> None:
    """Only where it is asked for."""
    sealed = container("sealed", securityContext={"readOnlyRootFilesystem": True})
    run(kubectl, cluster, "sealed", container(), sealed)
    script = "touch /x 2>/dev/null && echo written || echo refused"
    assert within(kubectl, "sealed", script) == "written"
    assert within(kubectl, "sealed", script, of="sealed") == "refused"


def test_what_of_the_machine_is_hidden(kubectl: Kubectl, cluster: Cluster) -> None:
    """Masked and read-only paths, except from privileged containers."""
    privileged = container("privileged", securityContext={"privileged": True})
    run(kubectl, cluster, "hidden", container(), privileged)
    mounts = within(kubectl, "hidden", "cat /proc/mounts").splitlines()
    points = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    assert "ro" in points["/proc/sys"]
    assert "/proc/interrupts" in points
    bare = within(kubectl, "hidden", "cat /proc/mounts", of="privileged")
    assert "/proc/interrupts" not in bare


def test_seccomp(kubectl: Kubectl, cluster: Cluster) -> None:
    """Unconfined without a profile, the runtime's, or one of the machine's."""
    folder = Path(cluster.environment["DEVCLUSTER_SITE_ROOT"], "edgelet/seccomp")
    folder.mkdir(exist_ok=True)
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }
    (folder / "no-folders.json").write_text(json.dumps(profile))
    local = {"type": "Localhost", "localhostProfile": "no-folders.json"}
    run(
        kubectl,
        cluster,
        "seccomp",
        container("local", securityContext={"seccompProfile": local}),
        container(),
        container("none", securityContext={"seccompProfile": {"type": "Unconfined"}}),
        securityContext={"seccompProfile": {"type": "RuntimeDefault"}},
    )
    modes = {name: proc_status(kubectl, "seccomp", of=name)["Seccomp"] for name in ("main", "none")}
    assert modes == {"main": "2", "none": "0"}
    script = "mkdir /tmp/x 2>&1 || true"
    assert "Operation not permitted" in within(kubectl, "seccomp", script, of="local")
    assert within(kubectl, "seccomp", script) == ""


def test_a_profile_that_is_not_there(kubectl: Kubectl, cluster: Cluster) -> None:
    """The container waits, it does not run unconfined."""
    local = {"type": "Localhost", "localhostProfile": "not-there.json"}
    absent = container(securityContext={"seccompProfile": local})
    kubectl.apply(pod("absent", absent, site=cluster.site))
    expect_waiting(kubectl, "absent", "CreateContainerError", "not-there.json")


def test_apparmor(kubectl: Kubectl, cluster: Cluster) -> None:
    """The runtime's profile."""
    if not APPARMOR.exists() or APPARMOR.read_text().strip() != "Y":
        pytest.skip("this machine's kernel has no AppArmor")
    context = {"appArmorProfile": {"type": "RuntimeDefault"}}
    run(kubectl, cluster, "apparmor", container(securityContext=context))
    assert "enforce" in within(kubectl, "apparmor", "cat /proc/1/attr/current")


def test_kernel_parameters_of_the_pods_own(kubectl: Kubectl, cluster: Cluster) -> None:
    """All its containers share them, the machine does not."""
    sysctls = [
        {"name": "kernel.shm_rmid_forced", "value": "1"},
        {"name": "net.ipv4.ip_local_port_range", "value": "20000 20100"},
    ]
    run(kubectl, cluster, "sysctls", securityContext={"sysctls": sysctls})
    found = within(
        kubectl,
        "sysctls",
        "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range",
    )
    assert found.split() == ["1", "20000", "20100"]


def test_users_of_the_pods_own(kubectl: Kubectl, cluster: Cluster) -> None:
    """Root inside is nobody outside; a runtime that cannot do it says so."""
    kubectl.apply(pod("userns", site=cluster.site, hostUsers=False))
    handlers = cluster.node()["status"].get("runtimeHandlers") or []
    if not any(each.get("features", {}).get("userNamespaces") for each in handlers):
        text = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
        eventually(
            lambda: text in messages(kubectl, "userns"),
            what="an event says that the runtime has no user namespaces",
            timeout_s=30,
        )
        kubectl.ok("delete", "pod", "userns", "--wait=true")
        pytest.skip("this containerd has no user namespaces: its refusal was seen")
    kubectl.wait("condition=Ready", "pod/userns")
    inside, outside, length = map(int, within(kubectl, "userns", "cat /proc/1/uid_map").split())
    assert (inside, length) == (0, 65_536)
    assert outside >= 65_536


def test_namespaces_of_the_machine(kubectl: Kubectl, cluster: Cluster) -> None:
    """Processes, IPC and network are shared only where they are asked for."""
    run(kubectl, cluster, "own")
    run(kubectl, cluster, "shared", hostNetwork=True, hostPID=True, hostIPC=True)
    containerd = Path("/proc", cluster.environment["DEVCLUSTER_CONTAINERD_PID"], "ns")
    for kind in ("net", "pid", "ipc"):
        of_machine = os.readlink(containerd / kind)
        script = f"readlink /proc/self/ns/{kind}"
        assert within(kubectl, "shared", script) == of_machine
        assert within(kubectl, "own", script) != of_machine


def test_containers_see_each_others_processes(kubectl: Kubectl, cluster: Cluster) -> None:
    """With shareProcessNamespace, below the sandbox's first process."""
    other = container("other", script=f"marker=of-other; {IDLE}")
    run(kubectl, cluster, "together", container(), other, shareProcessNamespace=True)
    assert "of-other" in within(kubectl, "together", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "pause" in within(kubectl, "together", "cat /proc/1/cmdline")
    run(kubectl, cluster, "apart", container(), other)
    assert "of-other" not in within(kubectl, "apart", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_a_debugger_sees_its_target(kubectl: Kubectl, cluster: Cluster) -> None:
    """An ephemeral container with a target has its processes, and its file system below them."""
    marked = container(script=f"echo here > /marker; {IDLE}")
    run(kubectl, cluster, "target", marked)
    kubectl.ok(
        "debug",
        "target",
        "--image=docker.io/library/busybox:latest",
        "--image-pull-policy=IfNotPresent",
        "--target=main",
        "--profile=sysadmin",
        "--attach=false",
        "-c",
        "debugger",
        "--",
        "cat",
        "/proc/1/root/marker",
    )
    # Whoever attaches to what ends at once may come too late for its output.
    ended = "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0"
    kubectl.wait(ended, "pod/target")
    assert kubectl.ok("logs", "target", "-c", "debugger") == "here\n"


def test_a_port_of_the_machine(kubectl: Kubectl, cluster: Cluster) -> None:
    """It leads into the pod, from the machine's own network."""
    served = container(
        script="mkdir /www && echo served > /www/index.html && exec httpd -f -p 80 -h /www",
        ports=[{"containerPort": 80, "hostPort": HOST_PORT}],
    )
    run(kubectl, cluster, "port", served)
    address = kubectl.json("get", "pod", "port")["status"]["hostIP"]
    eventually(
        lambda: inside(cluster.edge_netns, lambda: fetch(address, HOST_PORT)) == "served",
        what="the machine's port answers",
        timeout_s=20,
    )


def fetch(address: str, port: int) -> str:
    """Return what a web server answers, the error where it does not."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError as error:
        return str(error)
    finally:
        connection.close()


def messages(kubectl: Kubectl, name: str) -> str:
    """Return what a pod's events say."""
    events = kubectl.json("get", "events", f"--field-selector=involvedObject.name={name}")
    return "\n".join(each["message"] for each in events["items"])

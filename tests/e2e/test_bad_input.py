"""What cannot run says so: pods in their status and events, processes with one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import yaml

from devcluster.netns import netns_path
from tests.e2e.cluster import ROOT
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
PROCESS_TIMEOUT_S = 30
# Nothing listens there, so that the pull fails at once and on any machine.
UNREACHABLE_IMAGE = "127.0.0.1:9/no/such:image"


def waiting(kubectl: Kubectl, name: str) -> Json:
    """Return what the pod's container waits for; empty if it does not."""
    statuses = kubectl.json("get", "pod", name)["status"].get("containerStatuses", [])
    found: Json = statuses[0]["state"].get("waiting", {}) if statuses else {}
    return found


def waits_for(kubectl: Kubectl, name: str, *reasons: str, timeout_s: float = 30) -> Json:
    """Wait until the pod's container waits with one of the reasons, and return its state."""

    def matching() -> Json:
        state = waiting(kubectl, name)
        assert state.get("reason") in reasons, state
        return state

    what = f"{name} waits with {' or '.join(reasons)}"
    return eventually(matching, what=what, timeout_s=timeout_s)


def events(kubectl: Kubectl, name: str) -> dict[str, list[str]]:
    """Return the messages of the pod's events by reason."""
    found: dict[str, list[str]] = {}
    for event in kubectl.json("get", "events", "--field-selector", f"involvedObject.name={name}")[
        "items"
    ]:
        found.setdefault(event["reason"], []).append(event["message"])
    return found


def test_an_image_that_must_not_be_pulled(cluster: Cluster, kubectl: Kubectl) -> None:
    """ImagePullPolicy Never without the image: ErrImageNeverPull in kubelet's words."""
    main = container(image="example.invalid/none:1", imagePullPolicy="Never")
    kubectl.apply(pod("never", main, site=cluster.site))
    state = waits_for(kubectl, "never", "ErrImageNeverPull")
    expected = 'Container image "example.invalid/none:1" is not present with pull policy of Never'
    assert state["message"] == expected
    assert kubectl.json("get", "pod", "never")["status"]["phase"] == "Pending"
    line = kubectl.ok("get", "pod", "never", "--no-headers")
    assert line.split()[2] == "ErrImageNeverPull"
    refused = kubectl.run("logs", "never")
    assert refused.status == 1
    assert 'container "main" in pod "never" is waiting to start' in refused.error


def test_an_image_that_cannot_be_pulled(cluster: Cluster, kubectl: Kubectl) -> None:
    """ErrImagePull first, then ImagePullBackOff, with the image in the message and in events."""
    main = container(image=UNREACHABLE_IMAGE, imagePullPolicy="IfNotPresent")
    kubectl.apply(pod("nopull", main, site=cluster.site))
    eventually(
        lambda: waiting(kubectl, "nopull").get("reason") in {"ErrImagePull", "ImagePullBackOff"},
        what="ErrImagePull",
        timeout_s=30,
    )
    state = waits_for(kubectl, "nopull", "ImagePullBackOff")
    assert state["message"].startswith(f'Back-off pulling image "{UNREACHABLE_IMAGE}"')
    told = events(kubectl, "nopull")
    assert any(UNREACHABLE_IMAGE in message for message in told["Failed"]), told
    refused = kubectl.run("logs", "nopull")
    assert refused.status == 1
    assert "trying and failing to pull image" in refused.error


def with_a_device(name: str, site: str) -> Json:
    """Return a pod that claims a device; bound by hand, since no scheduler would find it a node."""
    claims = [{"name": "gpu", "resourceClaimName": "gpu"}]
    return pod(name, site=site, nodeName=site, resourceClaims=claims)


def test_a_pod_that_needs_what_is_not_there_yet_never_runs_wrongly(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """It stays Pending, with a reason and an event that name the field, and makes no container."""
    name, field = "claims", "resourceClaims"
    kubectl.apply(with_a_device(name, cluster.site))
    state = waits_for(kubectl, name, "UnsupportedByEdgelet")
    assert f"spec.{field}" in state["message"], state
    assert kubectl.json("get", "pod", name)["status"]["phase"] == "Pending"
    told = eventually(
        lambda: events(kubectl, name).get("UnsupportedByEdgelet", []), what="event", timeout_s=20
    )
    assert any(f"spec.{field}" in message for message in told), told
    selector = f'labels."io.kubernetes.pod.name"=={name}'
    assert cluster.ctr("containers", "ls", "-q", selector).split() == []


def test_a_container_field_that_is_not_there_yet(cluster: Cluster, kubectl: Kubectl) -> None:
    """The same for a field of a container: a variable out of a file that another one wrote."""
    reference = {"volumeName": "v", "path": "config.env", "key": "COLOR"}
    main = container(env=[{"name": "COLOR", "valueFrom": {"fileKeyRef": reference}}])
    volumes: list[Json] = [{"name": "v", "emptyDir": {}}]
    kubectl.apply(pod("environment", main, site=cluster.site, volumes=volumes))
    state = waits_for(kubectl, "environment", "UnsupportedByEdgelet")
    assert "env[COLOR].valueFrom.fileKeyRef" in state["message"], state


def test_an_unsupported_pod_can_be_deleted(cluster: Cluster, kubectl: Kubectl) -> None:
    """What never ran goes at once."""
    kubectl.apply(with_a_device("brief", cluster.site))
    eventually(lambda: waiting(kubectl, "brief"), what="it waits", timeout_s=30)
    kubectl.ok("delete", "pod", "brief", "--timeout=20s", timeout_s=40)


def test_a_command_that_is_not_there(cluster: Cluster, kubectl: Kubectl) -> None:
    """A start that fails is kubelet's RunContainerError, then CrashLoopBackOff."""
    main = {**container(), "command": ["/no/such/command"]}
    kubectl.apply(pod("nocmd", main, site=cluster.site))
    state = waits_for(kubectl, "nocmd", "RunContainerError", "CrashLoopBackOff")
    assert state["message"]


def test_a_crashing_pod_backs_off(cluster: Cluster, kubectl: Kubectl) -> None:
    """The first restart is immediate, later ones wait in CrashLoopBackOff."""
    kubectl.apply(pod("crash", container(script="exit 9"), site=cluster.site))
    # A kubelet shows the termination first and the back-off only at its next sync.
    state = waits_for(kubectl, "crash", "CrashLoopBackOff", timeout_s=60)
    expected = r"back-off \d+s restarting failed container=main pod=crash_" + kubectl.namespace
    assert re.match(expected, state["message"]), state
    (status,) = kubectl.json("get", "pod", "crash")["status"]["containerStatuses"]
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 9


def config_path(cluster: Cluster, part: str) -> Path:
    """Return the configuration file that the running part was started with."""
    pid = cluster.environment[f"DEVCLUSTER_{part.upper()}_PID"]
    arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return Path(arguments[arguments.index("--config") + 1])


def run_part(cluster: Cluster, part: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Run the provider or the edge with a configuration file where the real one runs."""
    package = {"provider": "provider", "edge": "edge_runtime"}[part]
    netns = {"provider": cluster.cloud_netns, "edge": cluster.edge_netns}[part]
    command = [sys.executable, "-m", package, "run", "--config", str(config)]
    return subprocess.run(
        ["nsenter", f"--net={netns_path(netns)}", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def refuses(outcome: subprocess.CompletedProcess[str], *names: str) -> None:
    """Check for exit status 2 and one sentence that names one of the fields or files.

    What went well before that was logged.
    """
    assert outcome.returncode == 2, outcome
    lines = [line for line in outcome.stderr.splitlines() if line.strip() and " INFO " not in line]
    assert len(lines) == 1, outcome.stderr
    assert any(name in lines[0] for name in names), outcome.stderr


def identity_of_another_ca(root: Path, site: str) -> Path:
    """Fill the identity folder of an edge that joined some other site of the same name."""
    authority = trustme.CA()
    issued = authority.issue_cert(
        "other.invalid", common_name=f"system:node:{site}", organization_name="system:nodes"
    )
    folder = root / "identity"
    folder.mkdir(parents=True, mode=0o700)
    pair = folder / "identity.pem"
    pair.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    # The provider's CA is not the one that signed the certificate.
    (folder / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    (folder / "site.json").write_text(json.dumps({"site": site, "server": "cloud.test:10443"}))
    for file in folder.iterdir():
        file.chmod(0o600)
    return pair


CHANGES: dict[str, tuple[str, Callable[[Json], object], tuple[str, ...]]] = {
    "provider-unknown": ("provider", lambda c: c.update(nodeAddres="x"), ("nodeAddres",)),
    "provider-type": ("provider", lambda c: c.update(kubeletPort="many"), ("kubeletPort",)),
    "provider-range": ("provider", lambda c: c.update(edgePort=70000), ("edgePort",)),
    "provider-missing": ("provider", lambda c: c.pop("siteName"), ("siteName",)),
    "provider-no-file": (
        "provider",
        lambda c: c.update(kubeconfig="/no/such/kubeconfig"),
        ("kubeconfig", "/no/such/kubeconfig"),
    ),
    "provider-no-address": ("provider", lambda c: c.pop("nodeAddress"), ("--node-address",)),
    "provider-old-field": (
        "provider",
        lambda c: c.update(siteCACertificateFile="/no/such/ca.crt"),
        ("siteCACertificateFile",),
    ),
    "edge-unknown": ("edge", lambda c: c.update(servr="x"), ("servr",)),
    "edge-type": ("edge", lambda c: c.update(maxPods="many"), ("maxPods",)),
    "edge-server": ("edge", lambda c: c.update(server="no port"), ("server",)),
    "edge-not-joined": ("edge", lambda _: None, ("edgelet join",)),
}


@pytest.mark.parametrize("case", list(CHANGES))
def test_a_bad_configuration_ends_with_status_2(
    cluster: Cluster, tmp_path: Path, case: str
) -> None:
    """One sentence on standard error names the field or the file."""
    part, change, names = CHANGES[case]
    config = yaml.safe_load(config_path(cluster, part).read_text())
    if part == "edge":
        config["rootDirectory"] = str(tmp_path / "root")
    change(config)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    refuses(run_part(cluster, part, file), *names)


@pytest.mark.parametrize("part", ["provider", "edge"])
def test_a_configuration_that_is_none(cluster: Cluster, tmp_path: Path, part: str) -> None:
    """No file, no YAML, no mapping: the sentence names the file."""
    missing = tmp_path / "missing.yaml"
    refuses(run_part(cluster, part, missing), str(missing))
    for text in ("{a: [", "- just\n- a list\n", ""):
        file = tmp_path / "bad.yaml"
        file.write_text(text)
        refuses(run_part(cluster, part, file), str(file))


def test_an_identity_of_another_ca(cluster: Cluster, tmp_path: Path) -> None:
    """The edge's certificate does not belong to the site's CA: the sentence names the file."""
    config = yaml.safe_load(config_path(cluster, "edge").read_text())
    pair = identity_of_another_ca(tmp_path / "root", cluster.site)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config | {"rootDirectory": str(tmp_path / "root")}))
    refuses(run_part(cluster, "edge", file), str(pair.parent))


def test_a_port_in_use(cluster: Cluster) -> None:
    """A second provider on the same address: the sentence names the field or the port."""
    path = config_path(cluster, "provider")
    config = yaml.safe_load(path.read_text())
    ports = [str(config.get("kubeletPort", 10250)), str(config.get("edgePort", 10443))]
    outcome = run_part(cluster, "provider", path)
    refuses(outcome, "kubeletPort", "edgePort", "kubeletListenAddress", *ports)

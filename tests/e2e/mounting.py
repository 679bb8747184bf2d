"""Pods with volumes, what is seen in them, and what is left of them on the machine."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
# The longest that an update may take until a running container sees it.
SEEN_WITHIN_S = 10.0
MOUNTS = Path("/proc/self/mountinfo")


def config_map(name: str, data: Mapping[str, str | bytes], **fields: object) -> Json:
    """Return a ConfigMap; bytes go into its binaryData."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    binary = {
        key: base64.b64encode(value).decode()
        for key, value in data.items()
        if isinstance(value, bytes)
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": texts,
        "binaryData": binary,
        **fields,
    }


def secret(name: str, data: Mapping[str, str], **fields: object) -> Json:
    """Return a Secret."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": encoded,
        **fields,
    }


def pod_with(
    cluster: Cluster,
    name: str,
    volumes: Mapping[str, Json],
    *,
    mount: Mapping[str, Json] | None = None,
    main: Mapping[str, Any] | None = None,
    **spec: object,
) -> Json:
    """Return a pod that mounts each volume at `/mnt/NAME`.

    Args:
        cluster: Whose site it is for.
        name: Its name.
        volumes: The volumes' sources, by name.
        mount: More fields of their mounts, by the volume's name.
        main: More fields of its container.
        spec: More fields of its spec.
    """
    mounts = [
        {"name": each, "mountPath": f"/mnt/{each}", **(mount or {}).get(each, {})}
        for each in volumes
    ]
    sources = [{"name": each, **source} for each, source in volumes.items()]
    one = container(volumeMounts=mounts, **(main or {}))
    return pod(name, one, site=cluster.site, volumes=sources, **spec)


def runs(kubectl: Kubectl, *objects: Json) -> None:
    """Apply objects and wait until the last, a pod, is Ready."""
    kubectl.apply(*objects)
    kubectl.wait("condition=Ready", f"pod/{objects[-1]['metadata']['name']}", timeout_s=60)


def shell(kubectl: Kubectl, name: str, script: str, *, of: str = "main") -> str:
    """Return what a shell script printed in a pod; it must end well."""
    return kubectl.ok("exec", name, "-c", of, "--", "sh", "-c", script)


def refusal(kubectl: Kubectl, name: str, script: str) -> str:
    """Return what a shell script that must fail said."""
    outcome = kubectl.run("exec", name, "--", "sh", "-c", script)
    assert outcome.status != 0, outcome
    return outcome.text + outcome.error


def sees(kubectl: Kubectl, name: str, script: str, wanted: str) -> None:
    """Wait until a script in a running pod prints what is wanted, as soon as updates must."""
    eventually(
        lambda: shell(kubectl, name, script) == wanted,
        what=f"{name} sees {wanted!r} by {script!r}",
        timeout_s=SEEN_WITHIN_S,
    )


def identity(kubectl: Kubectl, name: str) -> tuple[str, str, int]:
    """Return a pod's UID, and its first container's id and restart count."""
    found = kubectl.json("get", "pod", name)
    (one,) = found["status"]["containerStatuses"]
    return found["metadata"]["uid"], one["containerID"], one["restartCount"]


def pod_folder(cluster: Cluster, uid: str) -> Path:
    """Return where the edge keeps what is a pod's."""
    return Path(cluster.environment["DEVCLUSTER_SITE_ROOT"], "edgelet", "pods", uid)


def left_of(cluster: Cluster, uid: str) -> list[str]:
    """Return all files and mounts of a pod that the machine has."""
    folder = pod_folder(cluster, uid)
    files = [str(each) for each in (folder, *folder.rglob("*")) if each.exists()]
    return files + [line for line in MOUNTS.read_text().splitlines() if uid in line]

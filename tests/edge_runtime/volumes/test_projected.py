"""edge_runtime/volumes/projected.py."""

from __future__ import annotations

import stat
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import pod_volumes
from edge_runtime.tokens.errors import TokenUnavailable
from edge_runtime.volumes.mount_syscalls import read_mounts
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.projected import ProjectedPlugin
from edge_runtime.volumes.referenced_objects import ReferencedObjects
from tests.fakes.memory_objects import MemoryObjects, MemoryTokens, secret_of

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

TOKEN = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
ROOT_CA = {"configMap": {"name": "root-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
NAMESPACE = {
    "downwardAPI": {
        "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
    }
}


def pod_of(*sources: Json, spec: Json | None = None, mode: int = 0o644) -> Pod:
    """Return a pod with one volume."""
    volumes = [{"name": "v", "projected": {"defaultMode": mode, "sources": list(sources)}}]
    return Pod(
        {
            "metadata": {"name": "p", "namespace": "default", "uid": "u"},
            "spec": {"containers": [{"name": "c"}], **(spec or {}), "volumes": volumes},
        }
    )


@pytest.fixture
def objects() -> MemoryObjects:
    """What the provider told."""
    objects = MemoryObjects()
    objects.put("ConfigMap", "root-ca", {"data": {"ca.crt": "PEM", "other": "x"}})
    objects.put("Secret", "login", secret_of(password="hunter2", namespace="from the secret"))
    return objects


@pytest.fixture
def tokens() -> MemoryTokens:
    """Tokens."""
    return MemoryTokens()


@pytest.fixture
def plugin(objects: MemoryObjects, tokens: MemoryTokens) -> ProjectedPlugin:
    """The plugin; it waits for nobody."""
    referenced = ReferencedObjects(objects, wait_s=0.01)
    return ProjectedPlugin(referenced, tokens=tokens, allocatable=lambda: {"cpu": Fraction(2)})


async def set_up(plugin: ProjectedPlugin, pod: Pod, folder: Path) -> None:
    """Set the pod's volume up."""
    (volume,) = pod_volumes(pod)
    assert (await plugin.set_up(pod, volume, folder)).read_only


async def test_what_every_pod_gets(plugin: ProjectedPlugin, mountable: Path) -> None:
    """The token, the cluster's authority and the namespace, in memory."""
    await set_up(plugin, pod_of(TOKEN, ROOT_CA, NAMESPACE), mountable / "v")
    found = {each.name: each.read_text() for each in (mountable / "v" / "..data").iterdir()}
    assert found == {"token": "u//3607/1", "ca.crt": "PEM", "namespace": "default"}
    mounted = mount_at(read_mounts(), str(mountable / "v"))
    assert mounted is not None
    assert mounted.fs_type == "tmpfs"
    assert stat.S_IMODE((mountable / "v" / "token").stat().st_mode) == 0o644


async def test_a_renewed_token_is_seen(
    plugin: ProjectedPlugin, tokens: MemoryTokens, mountable: Path
) -> None:
    """At the next look, which its coming brings about."""
    await set_up(plugin, pod_of(TOKEN, ROOT_CA), mountable / "v")
    tokens.generation = 2
    await set_up(plugin, pod_of(TOKEN, ROOT_CA), mountable / "v")
    assert (mountable / "v" / "token").read_text() == "u//3607/2"


async def test_an_audience_and_the_usual_life(plugin: ProjectedPlugin, mountable: Path) -> None:
    """An hour, where nothing is said."""
    source = {"serviceAccountToken": {"path": "vault/token", "audience": "vault"}}
    await set_up(plugin, pod_of(source), mountable / "v")
    assert (mountable / "v" / "vault" / "token").read_text() == "u/vault/3600/1"


@pytest.mark.parametrize(
    ("security", "user", "group", "mode"),
    [
        ({}, 0, 0, 0o644),
        ({"runAsUser": 1000}, 1000, 0, 0o600),
        ({"fsGroup": 2000}, 0, 2000, 0o640),
        ({"runAsUser": 1000, "fsGroup": 2000}, 1000, 2000, 0o640),
    ],
)
async def test_who_may_read_a_token(
    plugin: ProjectedPlugin,
    mountable: Path,
    security: Json,
    user: int,
    group: int,
    mode: int,
) -> None:
    """Whoever runs in the pod, and nobody else once that is known."""
    pod = pod_of(TOKEN, NAMESPACE, spec={"securityContext": security})
    await set_up(plugin, pod, mountable / "v")
    token = (mountable / "v" / "token").stat()
    assert (token.st_uid, token.st_gid, stat.S_IMODE(token.st_mode)) == (user, group, mode)
    namespace = (mountable / "v" / "namespace").stat()
    assert namespace.st_uid == 0
    assert stat.S_IMODE(namespace.st_mode) == 0o644


async def test_of_two_files_at_one_path_the_last_counts(
    plugin: ProjectedPlugin, mountable: Path
) -> None:
    """In the order of the sources."""
    await set_up(plugin, pod_of({"secret": {"name": "login"}}, NAMESPACE), mountable / "v")
    assert (mountable / "v" / "namespace").read_text() == "default"
    assert (mountable / "v" / "password").read_text() == "hunter2"


async def test_all_that_is_missing_is_told(
    plugin: ProjectedPlugin, objects: MemoryObjects, tokens: MemoryTokens, mountable: Path
) -> None:
    """And nothing is written before all is there."""
    objects.put("ConfigMap", "root-ca", None)
    objects.put("Secret", "login", None)
    tokens.failure = TokenUnavailable("no token yet: the cloud is away")
    pod = pod_of(ROOT_CA, {"secret": {"name": "login"}}, TOKEN, NAMESPACE)
    with pytest.raises(VolumeError) as caught:
        await set_up(plugin, pod, mountable / "v")
    assert str(caught.value) == (
        '[configmap "root-ca" not found, secret "login" not found,'
        " failed to fetch token: no token yet: the cloud is away]"
    )
    assert not caught.value.is_lasting
    assert not (mountable / "v").exists()


async def test_optional_sources_may_be_missing(
    plugin: ProjectedPlugin, objects: MemoryObjects, mountable: Path
) -> None:
    """The others are there."""
    objects.put("ConfigMap", "root-ca", None)
    source = {"configMap": {"name": "root-ca", "optional": True}}
    await set_up(plugin, pod_of(source, NAMESPACE), mountable / "v")
    assert [each.name for each in (mountable / "v" / "..data").iterdir()] == ["namespace"]


async def test_a_source_of_tomorrow_is_refused(plugin: ProjectedPlugin, mountable: Path) -> None:
    """A pod must not run without a file that it asked for."""
    source = {"podCertificate": {"keyType": "ED25519"}}
    with pytest.raises(VolumeError, match="does not support podCertificate") as caught:
        await set_up(plugin, pod_of(source), mountable / "v")
    assert caught.value.is_lasting

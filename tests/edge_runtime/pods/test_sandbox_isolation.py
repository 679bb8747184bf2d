"""Runtime handlers and users of pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import IDRange
from edge_runtime.objects.runtime_info import RuntimeHandler, RuntimeStatus
from edge_runtime.pods import sandbox_isolation
from edge_runtime.pods.sandbox_isolation import Isolation, IsolationError, SandboxIsolation
from edge_runtime.pods.user_namespaces import UserNamespaces
from edge_runtime.store.database import Database
from edge_runtime.store.object_store import ObjectStore
from tunnel.sync import ObjectPut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Runtime:
    """A runtime with two handlers, one of which knows user namespaces."""

    async def status(self) -> RuntimeStatus:
        """Return what it can do."""
        return RuntimeStatus(
            handlers=(
                RuntimeHandler(name=""),
                RuntimeHandler(name="runsc", user_namespaces=True),
            )
        )


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store."""
    database = Database(tmp_path / "edgelet.db")
    yield ObjectStore(database)
    database.close()


@pytest.fixture
def isolation(objects: ObjectStore, tmp_path: Path) -> SandboxIsolation:
    """With one range of users."""
    users = UserNamespaces(pods_dir=tmp_path / "pods", max_pods=1)
    return SandboxIsolation(objects=objects, runtime=Runtime(), users=users)


def pod(uid: str = "u", **spec: object) -> Pod:
    """A pod of this spec."""
    return Pod({"metadata": {"name": "p", "namespace": "ns", "uid": uid}, "spec": spec})


async def put(objects: ObjectStore, name: str, handler: str | None) -> None:
    """Tell of a RuntimeClass, or that there is none."""
    found = None if handler is None else {"handler": handler}
    await objects.put(
        ObjectPut(kind="RuntimeClass", namespace="", name=name, revision="1", object=found)
    )


async def test_most_pods_have_neither(isolation: SandboxIsolation) -> None:
    """The default handler, and the machine's users."""
    assert await isolation.of(pod()) == Isolation()
    assert await isolation.of(pod(hostUsers=True)) == Isolation()


async def test_a_runtime_class_names_the_handler(
    isolation: SandboxIsolation, objects: ObjectStore
) -> None:
    """The class's name is the cluster's, the handler's is the machine's."""
    await put(objects, "gvisor", "runsc")
    assert await isolation.of(pod(runtimeClassName="gvisor")) == Isolation(runtime_handler="runsc")
    await put(objects, "none", None)
    with pytest.raises(IsolationError) as refused:
        await isolation.of(pod(runtimeClassName="none"))
    assert str(refused.value) == 'runtimeclass.node.k8s.io "none" not found'


async def test_a_class_that_is_not_told_yet_is_waited_for(
    isolation: SandboxIsolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not for ever: the pod's worker has other things to do."""
    monkeypatch.setattr(sandbox_isolation, "WAIT_S", 0.01)
    with pytest.raises(IsolationError, match="failed to lookup RuntimeClass later"):
        await isolation.of(pod(runtimeClassName="later"))


async def test_users_of_its_own(isolation: SandboxIsolation, objects: ObjectStore) -> None:
    """Where the handler has them and there are any left."""
    await put(objects, "gvisor", "runsc")
    found = await isolation.of(pod(runtimeClassName="gvisor", hostUsers=False))
    assert found.users == IDRange(host_id=65536, length=65536)
    with pytest.raises(IsolationError, match="create user namespace: could not find an empty slot"):
        await isolation.of(pod("v", runtimeClassName="gvisor", hostUsers=False))


@pytest.mark.parametrize(
    ("handler", "who"), [("", "runtime"), ("kata", 'RuntimeClass handler "kata"')]
)
async def test_a_runtime_without_users_of_a_pods_own(
    isolation: SandboxIsolation, objects: ObjectStore, handler: str, who: str
) -> None:
    """In a kubelet's words."""
    await put(objects, "class", handler)
    with pytest.raises(IsolationError) as refused:
        await isolation.of(pod(runtimeClassName="class", hostUsers=False))
    assert str(refused.value) == (
        f"can't set `spec.hostUsers: false`, {who} does not support user namespaces"
    )

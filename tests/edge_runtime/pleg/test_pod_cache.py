"""The cache never goes back in time."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pleg.pod_cache import PodCache
from tests.fakes.runtime_values import container, sandbox

UID = PodUID("u")


def test_unknown_pod_is_empty() -> None:
    """Never an error, never None."""
    cache = PodCache()
    assert cache.get(UID) == PodRuntimeStatus(uid=UID)
    assert cache.uids() == ()


def test_newest_comes_first() -> None:
    """Whatever the order in which they were put."""
    cache = PodCache()
    cache.put_container(UID, container("c1", attempt=1, created_at_s=20))
    cache.put_container(UID, container("c0", attempt=0, created_at_s=10))
    cache.put_sandbox(UID, sandbox("s1", attempt=1))
    cache.put_sandbox(UID, sandbox("s0", attempt=0, ready=False))
    status = cache.get(UID)
    assert [each.id for each in status.containers] == ["c1", "c0"]
    assert [each.id for each in status.sandboxes] == ["s1", "s0"]
    assert (status.name, status.namespace) == ("p", "ns")
    assert cache.find("c0") == cache.find("s1") == UID
    assert cache.find("x") is None


def test_exited_container_never_runs_again() -> None:
    """A late answer that was read before the exit changes nothing."""
    cache = PodCache()
    cache.put_container(UID, container(state=ContainerState.EXITED, finished_at_s=20))
    cache.put_container(UID, container(state=ContainerState.RUNNING))
    latest = cache.get(UID).latest("c")
    assert latest is not None
    assert latest.state is ContainerState.EXITED


def test_stopped_sandbox_is_never_ready_again() -> None:
    """As for containers."""
    cache = PodCache()
    cache.put_sandbox(UID, sandbox(ready=False))
    cache.put_sandbox(UID, sandbox(ready=True))
    assert cache.get(UID).ready_sandboxes == ()


def test_answer_read_before_a_write_is_refused() -> None:
    """Or a container that its worker just started would vanish, and be started again."""
    cache = PodCache()
    version = cache.version(UID)
    cache.put_container(UID, container())
    assert not cache.replace(PodRuntimeStatus(uid=UID), version=version)
    assert cache.get(UID).latest("c") is not None
    assert cache.replace(PodRuntimeStatus(uid=UID), version=cache.version(UID))
    assert cache.uids() == ()


def test_removed_pod_gets_a_new_version_when_it_comes_back() -> None:
    """An answer from its first life is refused in its second."""
    cache = PodCache()
    cache.put_container(UID, container())
    version = cache.version(UID)
    cache.remove(UID, [ContainerID("c0")])
    assert cache.uids() == ()
    cache.put_container(UID, container("c1"))
    assert not cache.replace(PodRuntimeStatus(uid=UID), version=version)

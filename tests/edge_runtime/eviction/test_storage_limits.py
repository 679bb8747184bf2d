"""Which pods use more of the disk than they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.eviction.storage_limits import has_storage_limits, storage_excess
from edge_runtime.objects.pod import Pod
from tests.fakes.evictable_pods import pod, use

if TYPE_CHECKING:
    from edge_runtime.eviction.observations import PodUse

MIB = 1 << 20
GIB = 1 << 30


@pytest.mark.parametrize(
    ("limited", "used", "dedicated", "expected"),
    [
        (pod("p", limits={"ephemeral-storage": "10"}), use(layer=10), False, None),
        (
            pod("p", limits={"ephemeral-storage": "10"}),
            use(layer=6, logs=5),
            False,
            "Pod ephemeral local storage usage exceeds the total limit of containers 10. ",
        ),
        (
            pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]),
            use(volume=MIB + 1),
            False,
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (
            pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "0"}}]),
            use(volume=MIB),
            False,
            None,
        ),
        (pod("p"), use(layer=GIB), False, None),
    ],
)
def test_storage_limits(limited: Pod, used: PodUse, dedicated: bool, expected: str | None) -> None:
    """Of emptyDirs, of all containers together."""
    assert storage_excess(limited, used, dedicated_imagefs=dedicated) == expected


def test_storage_limit_of_one_container() -> None:
    """One may write too much although all together do not."""
    limits = {"limits": {"ephemeral-storage": "10"}}
    two = [{"name": "c", "resources": limits}, {"name": "d", "resources": limits}]
    both = Pod({"metadata": {"name": "p", "uid": "p"}, "spec": {"containers": two}})
    message = 'Container c exceeded its local ephemeral storage limit "10". '
    assert storage_excess(both, use(layer=11), dedicated_imagefs=False) == message
    assert storage_excess(both, use(layer=11), dedicated_imagefs=True) is None
    assert storage_excess(both, use(logs=11), dedicated_imagefs=True) == message


def test_only_limited_pods_are_measured() -> None:
    """Measuring costs the runtime 4 ms per container."""
    assert not has_storage_limits(pod("p", limits={"memory": "1"}))
    assert has_storage_limits(pod("p", limits={"ephemeral-storage": "1"}))
    assert has_storage_limits(pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1"}}]))
    assert not has_storage_limits(pod("p", volumes=[{"name": "v", "emptyDir": {}}]))

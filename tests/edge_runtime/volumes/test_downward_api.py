"""edge_runtime/volumes/downward_api.py."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import pod_volumes
from edge_runtime.volumes.downward_api import DownwardApiPlugin
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path


def pod_of(labels: dict[str, str], *items: dict[str, Any]) -> Pod:
    """Return a pod with one volume."""
    return Pod(
        {
            "metadata": {"name": "p", "uid": "u", "labels": labels},
            "spec": {
                "containers": [{"name": "main"}],
                "volumes": [{"name": "d", "downwardAPI": {"items": list(items)}}],
            },
        }
    )


async def set_up(pod: Pod, folder: Path) -> None:
    """Set the pod's volume up."""
    (volume,) = pod_volumes(pod)
    await DownwardApiPlugin(lambda: {"cpu": Fraction(2)}).set_up(pod, volume, folder)


async def test_labels_are_followed(mountable: Path) -> None:
    """Somebody labels the pod while it runs."""
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    await set_up(pod_of({"a": "1"}, item), mountable / "d")
    assert (mountable / "d" / "labels").read_text() == 'a="1"'
    await set_up(pod_of({"a": "1", "b": 'say "x"'}, item), mountable / "d")
    assert (mountable / "d" / "labels").read_text() == 'a="1"\nb="say \\"x\\""'


async def test_a_limit_that_is_not_set_is_the_nodes(mountable: Path) -> None:
    """As a kubelet tells it."""
    item = {
        "path": "cpus",
        "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"},
    }
    await set_up(pod_of({}, item), mountable / "d")
    assert (mountable / "d" / "cpus").read_text() == "2"


async def test_what_does_not_exist_is_told(mountable: Path) -> None:
    """The event shows it."""
    item = {"path": "x", "fieldRef": {"fieldPath": "metadata.nothing"}}
    with pytest.raises(VolumeError, match=r"metadata\.nothing"):
        await set_up(pod_of({}, item), mountable / "d")

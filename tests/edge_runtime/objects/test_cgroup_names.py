"""Cgroup parents for both drivers."""

from __future__ import annotations

import pytest

from edge_runtime.objects.cgroup_names import CgroupDriver, pod_cgroup_parent, qos_cgroup
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.qos import QOSClass

UID = PodUID("a1-b2")


@pytest.mark.parametrize(
    ("qos", "root", "driver", "expected"),
    [
        (QOSClass.GUARANTEED, "/", CgroupDriver.CGROUPFS, "/kubepods/poda1-b2"),
        (QOSClass.BURSTABLE, "/", CgroupDriver.CGROUPFS, "/kubepods/burstable/poda1-b2"),
        (
            QOSClass.BEST_EFFORT,
            "/site/",
            CgroupDriver.CGROUPFS,
            "/site/kubepods/besteffort/poda1-b2",
        ),
        (
            QOSClass.GUARANTEED,
            "/",
            CgroupDriver.SYSTEMD,
            "/kubepods.slice/kubepods-poda1_b2.slice",
        ),
        (
            QOSClass.BURSTABLE,
            "/",
            CgroupDriver.SYSTEMD,
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda1_b2.slice",
        ),
        (
            QOSClass.GUARANTEED,
            "/my-site",
            CgroupDriver.SYSTEMD,
            "/my_site.slice/my_site-kubepods.slice/my_site-kubepods-poda1_b2.slice",
        ),
    ],
)
def test_parent_of_pod(qos: QOSClass, root: str, driver: CgroupDriver, expected: str) -> None:
    """The names that a kubelet gives."""
    assert pod_cgroup_parent(UID, qos, cgroup_root=root, driver=driver) == expected


@pytest.mark.parametrize(
    ("qos", "driver", "expected"),
    [
        (QOSClass.GUARANTEED, CgroupDriver.CGROUPFS, "/site/kubepods"),
        (QOSClass.BURSTABLE, CgroupDriver.CGROUPFS, "/site/kubepods/burstable"),
        (
            QOSClass.BEST_EFFORT,
            CgroupDriver.SYSTEMD,
            "/site.slice/site-kubepods.slice/site-kubepods-besteffort.slice",
        ),
    ],
)
def test_group_of_a_class(qos: QOSClass, driver: CgroupDriver, expected: str) -> None:
    """Guaranteed pods have none of their own."""
    assert qos_cgroup(qos, cgroup_root="/site", driver=driver) == expected

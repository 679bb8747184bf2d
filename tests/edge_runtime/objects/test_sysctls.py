"""Which kernel parameters a pod may set."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.sysctls import SysctlError, sysctl_allowlist


def pod(*names: str, **spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    """A pod that sets these."""
    sysctls = [{"name": name, "value": "1"} for name in names]
    return Pod({"spec": {"securityContext": {"sysctls": sysctls}, **spec}})


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (pod(), None),
        (pod("net.ipv4.tcp_syncookies"), None),
        (pod("net/ipv4/tcp_syncookies"), None),
        (pod("kernel.shm_rmid_forced"), None),
        (pod("kernel.msgmax"), 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (
            pod("net.ipv4.tcp_syncookies", hostNetwork=True),
            'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host Net enabled',
        ),
        (
            pod("kernel.shm_rmid_forced", hostIPC=True),
            'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host IPC enabled',
        ),
        (pod("net.core.somaxconn"), None),
        (pod("fs.mqueue.msg_max"), None),
        (
            pod("fs.mqueue.msg_max", hostIPC=True),
            'forbidden sysctl: "fs.mqueue.msg_max" not allowed with host IPC enabled',
        ),
        (
            pod("net.ipv4.tcp_syncookies", "vm.swappiness"),
            'forbidden sysctl: "vm.swappiness" not allowlisted',
        ),
    ],
)
def test_refusals(wanted: Pod, refusal: str | None) -> None:
    """What is safe, what is configured, and not with the machine's own namespaces."""
    allowed = sysctl_allowlist(
        kernel_version="6.1.0-18", unsafe=["net.core.somaxconn", "fs.mqueue.*"]
    )
    assert allowed.refusal(wanted) == refusal


@pytest.mark.parametrize(
    ("kernel", "expected"), [("4.4.0", False), ("4.5", True), ("5.10.0-cloud", True), ("", False)]
)
def test_old_kernels_do_not_keep_all_of_them_per_namespace(kernel: str, expected: bool) -> None:
    """There, one pod would change the others'."""
    allowed = sysctl_allowlist(kernel_version=kernel, unsafe=())
    assert (allowed.refusal(pod("net.ipv4.tcp_keepalive_time")) is None) is expected


@pytest.mark.parametrize("name", ["vm.swappiness", "Net.x", "", "*", "net..x", "net." + "x" * 300])
def test_configured_names_must_be_namespaced(name: str) -> None:
    """Others would change the machine."""
    with pytest.raises(SysctlError):
        sysctl_allowlist(kernel_version="6.1", unsafe=[name])

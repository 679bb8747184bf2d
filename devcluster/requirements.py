"""Rights and packages of the machine: each lack is one sentence with the command that fixes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.errors import Unprepared
from devcluster.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CNI_BIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
# Program -> Debian package.
PACKAGES: Mapping[str, str] = {
    "busybox": "busybox-static",
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "gcc": "gcc libc6-dev",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nsenter": "util-linux",
    "runc": "runc",
}
GO_VERSION = (1, 26)
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 12, 21, 24
INSTALL_TIMEOUT_S = 900.0


def has_capability(bit: int, *, status: str | None = None) -> bool:
    """Tell whether this process has a capability.

    Args:
        bit: Its number (capabilities(7)).
        status: Text of ``/proc/self/status``, read where not given.
    """
    text = Path("/proc/self/status").read_text() if status is None else status
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.MULTILINE)
    return found is not None and bool(int(found.group(1), 16) >> bit & 1)


def require_rights() -> None:
    """Refuse to go on without root's rights over networks and mounts.

    Raises:
        Unprepared: They are missing.
    """
    if os.geteuid() == 0 and has_capability(CAP_SYS_ADMIN) and has_capability(CAP_NET_ADMIN):
        return
    raise Unprepared(
        "root with CAP_SYS_ADMIN and CAP_NET_ADMIN is needed for namespaces, mounts and pods: "
        "run the command again with sudo -E"
    )


def missing_packages(programs: Iterable[str] = PACKAGES) -> list[str]:
    """Return the Debian packages that the machine lacks, sorted."""
    missing = {PACKAGES[p] for p in programs if shutil.which(p) is None}
    if cni_bin_folder() is None:
        missing.add("containernetworking-plugins")
    if "busybox-static" not in missing and not _is_static(Path(shutil.which("busybox") or "")):
        missing.add("busybox-static")
    return sorted(missing)


def require_packages(*, install: bool = False) -> None:
    """Refuse to go on without the packages; with `install`, install them first.

    Raises:
        Unprepared: Some are missing; the text holds the command that installs them.
        DevclusterError: The installation failed.
    """
    missing = missing_packages()
    if missing and install:
        run(["apt-get", "update", "-qq"], timeout_s=INSTALL_TIMEOUT_S)
        names = [name for package in missing for name in package.split()]
        # No recommended packages, and no service is wanted: devcluster starts a containerd of its
        # own.
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names],
            timeout_s=INSTALL_TIMEOUT_S,
        )
        missing = missing_packages()
    if missing:
        names_text = " ".join(missing)
        raise Unprepared(
            f"packages are missing: run apt-get install -y --no-install-recommends {names_text}"
        )


def require_go() -> None:
    """Refuse to build without a Go toolchain that can.

    Raises:
        Unprepared: There is none, or it is too old and may not fetch a newer one.
    """
    wanted = ".".join(map(str, GO_VERSION))
    fix = f"install Go {wanted} or newer (https://go.dev/dl) and put its bin folder on PATH"
    if shutil.which("go") is None:
        raise Unprepared(f"the Go toolchain, which builds the control plane, is missing: {fix}")
    environment = subprocess.run(
        ["go", "env", "GOVERSION", "GOTOOLCHAIN"], capture_output=True, text=True, check=False
    ).stdout.split()
    found = re.match(r"go(\d+)\.(\d+)", environment[0]) if environment else None
    if found is None:
        raise Unprepared(f"go env tells no version: {fix}")
    version = (int(found.group(1)), int(found.group(2)))
    # Since 1.21 an older go fetches the toolchain that go.mod asks for, unless it is told to stay
    # local.
    fetches = version >= (1, 21) and environment[1:] != ["local"]
    if version < GO_VERSION and not fetches:
        raise Unprepared(f"Go {version[0]}.{version[1]} is too old for the control plane: {fix}")


def cni_bin_folder() -> Path | None:
    """Return the folder with the CNI plugins we use; None where no folder has all of them."""
    for folder in CNI_BIN_FOLDERS:
        if all((folder / plugin).exists() for plugin in CNI_PLUGINS):
            return folder
    return None


def _is_static(program: Path) -> bool:
    # A dynamic program names its interpreter (ld-linux, ld-musl) right behind the ELF headers.
    try:
        with program.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return b"/ld-" not in head

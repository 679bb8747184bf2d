"""A site's own containerd: configuration, start, images, and the end of everything it ran.

It runs in the site's network namespace, with its own root, state, socket, runc root and CNI network, beside any
containerd of the machine. Two folders are compiled into it and shared by name only: shims listen in
``/run/containerd/s`` under a hash of our socket's path, and libcni caches in ``/var/lib/cni`` under our network's name.
"""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import cgroups
from devcluster.images import PAUSE_IMAGE
from devcluster.mounts import can_overlay
from devcluster.processes import identify, in_netns, run, send_signal, wait_end
from devcluster.requirements import CAP_SYS_RESOURCE, cni_bin_folder, has_capability

if TYPE_CHECKING:
    from devcluster.layout import SiteLayout
    from devcluster.state import Process

NAMESPACE = "k8s.io"
SHIM_SOCKETS = Path("/run/containerd/s")
CNI_CACHE = Path("/var/lib/cni")
IMPORT_TIMEOUT_S = 120.0
END_TIMEOUT_S = 10.0
CNI_BRIDGE = "cni0"


def config(
    site: SiteLayout,
    *,
    snapshotter: str,
    may_raise_priority: bool,
    cni_bin: Path,
    runc: Path,
) -> str:
    """Return the configuration file.

    Args:
        site: Whose paths it names.
        snapshotter: ``overlayfs``, or ``native`` where overlayfs does not work.
        may_raise_priority: Root has CAP_SYS_RESOURCE. Without it runc fails to lower a sandbox's oom_score_adj
            ("can't get final child's PID from pipe: EOF") unless containerd keeps it from trying.
        cni_bin: Folder of the CNI plugins.
        runc: The runc program.
    """
    restrict = json.dumps(not may_raise_priority)
    return f"""version = 2
root = "{site.root}/containerd"
state = "{site.run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs"]

[grpc]
  address = "{site.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = {restrict}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{site.root}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        Root = "{site.run}/runc"
        SystemdCgroup = false
"""


def network_name(site: SiteLayout) -> str:
    """Return the name of the site's CNI network, unique on the machine."""
    return f"{site.cluster.prefix}-{site.name}"


def network_config(site: SiteLayout) -> str:
    """Return the CNI network: a bridge in the site's namespace, with masquerading towards its router."""
    bridge = {
        "type": "bridge",
        "bridge": CNI_BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": site.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{site.root}/cni-addresses",
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    document = {"cniVersion": "0.4.0", "name": network_name(site), "plugins": [bridge, ports]}
    return json.dumps(document, indent=2) + "\n"


def write_config(site: SiteLayout) -> Path:
    """Write both configuration files and return containerd's."""
    for folder in (site.root / "containerd", site.root / "cni", site.run):
        folder.mkdir(parents=True, exist_ok=True)
    runc, cni_bin = shutil.which("runc"), cni_bin_folder()
    assert runc is not None
    assert cni_bin is not None
    (site.root / "cni" / "10-edgelet.conflist").write_text(network_config(site))
    file = site.root / "containerd.toml"
    file.write_text(
        config(
            site,
            snapshotter=snapshotter(site),
            may_raise_priority=has_capability(CAP_SYS_RESOURCE),
            cni_bin=cni_bin,
            runc=Path(runc),
        )
    )
    return file


def snapshotter(site: SiteLayout) -> str:
    """Return the snapshotter that works where the site's images are kept."""
    return "overlayfs" if can_overlay(site.root / "containerd") else "native"


def command(site: SiteLayout, config_file: Path) -> list[str]:
    """Return the command line, in the site's namespace."""
    return [*in_netns(site.edge_netns), "containerd", "--config", str(config_file)]


def ctr(site: SiteLayout, *arguments: str, timeout_s: float = IMPORT_TIMEOUT_S) -> str:
    """Run containerd's own client in the namespace that CRI uses."""
    return run(
        ["ctr", "--address", site.containerd_socket, "--namespace", NAMESPACE, *arguments],
        timeout_s=timeout_s,
    )


def answers(site: SiteLayout) -> bool:
    """Tell whether containerd serves calls."""
    if not site.containerd_socket.is_socket():
        return False
    address = ["ctr", "--address", str(site.containerd_socket), "--connect-timeout", "2s"]
    return "Server:" in run([*address, "version"], check=False)


def import_images(site: SiteLayout, archives: list[Path]) -> None:
    """Import archives that are not there yet, unpacked for the site's snapshotter."""
    there = ctr(site, "images", "ls", "-q").split()
    kind = "overlayfs" if "overlayfs" in (site.root / "containerd.toml").read_text() else "native"
    for archive in archives:
        if not any(archive.stem in name for name in there):
            ctr(site, "images", "import", "--snapshotter", kind, str(archive))


def shims(site: SiteLayout) -> list[int]:
    """Return the pids of the shims that serve this site's containerd, dead or alive."""
    wanted = f"-address\0{site.containerd_socket}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"containerd-shim" in line.split(b"\0", 1)[0] and wanted in line:
                found.append(int(entry.name))
    return found


def end_containers(site: SiteLayout) -> set[str]:
    """Kill all containers of the site and their shims, once its containerd has ended.

    Returns:
        The cgroups they were in, in this site's part of the tree or in runc's default place.
    """
    found: set[str] = set()
    victims = shims(site)
    for shim in victims:
        children = _descendants(shim)
        for pid in children:
            found |= {c for c in cgroups.cgroups_of(pid) if c not in cgroups.cgroups_of(shim)}
        _kill([shim, *children])
    _kill(sorted(cgroups.processes_below(site.cgroup_root)))
    return found


def remove_shared_names(site: SiteLayout) -> None:
    """Remove what carries our names in the two folders that are compiled in."""
    state = site.run / "containerd" / "io.containerd.runtime.v2.task"
    for address in state.glob("*/*/address"):
        socket = Path(address.read_text().strip().removeprefix("unix://"))
        if socket.parent == SHIM_SOCKETS:
            socket.unlink(missing_ok=True)
    for cached in CNI_CACHE.glob(f"*/{network_name(site)}-*"):
        cached.unlink(missing_ok=True)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found: list[int] = []
    open_pids = [pid]
    while open_pids:
        below = children.get(open_pids.pop(), [])
        found += below
        open_pids += below
    return found


def _kill(pids: list[int]) -> None:
    processes: list[Process] = [p for p in map(identify, pids) if p is not None]
    for process in processes:
        send_signal(process, signal.SIGKILL)
    for process in processes:
        wait_end(process, timeout_s=END_TIMEOUT_S)

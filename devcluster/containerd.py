"""A machine's own containerd: configuration, start, images, and the end of everything it ran.

It runs in the network namespace of a site or of the kubelet, with its own root, state, socket, runc
root and CNI network, beside any containerd of the host. Two folders are compiled into it and shared
by name only: shims listen in ``/run/containerd`` under a hash of our socket's path, and libcni
caches in ``/var/lib/cni`` under our network's name.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from cri_protos import api_pb2 as pb
from devcluster import cgroups
from devcluster.errors import Unprepared
from devcluster.images import PAUSE_IMAGE
from devcluster.mounts import can_overlay
from devcluster.processes import end_together, in_netns, run
from devcluster.requirements import CAP_SYS_RESOURCE, cni_bin_folder, has_capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devcluster.layout import MachineLayout

NAMESPACE = "k8s.io"
SHARED_STATE = Path("/run/containerd")
CNI_CACHE = Path("/var/lib/cni")
IMPORT_TIMEOUT_S = 120.0
CRI_TIMEOUT_S = 5.0
CNI_BRIDGE = "cni0"


def config(
    machine: MachineLayout,
    *,
    snapshotter: str,
    may_raise_priority: bool,
    cni_bin: Path,
    runc: Path,
    cgroup_driver: str = cgroups.CGROUPFS,
) -> str:
    """Return the configuration file.

    Args:
        machine: Whose paths it names.
        snapshotter: ``overlayfs``, or ``native`` where overlayfs does not work.
        may_raise_priority: Root has CAP_SYS_RESOURCE. Without it runc fails to lower a sandbox's
            oom_score_adj ("can't get final child's PID from pipe: EOF") unless containerd keeps it
            from trying.
        cni_bin: Folder of the CNI plugins.
        runc: The runc program.
        cgroup_driver: Who makes control groups: ``cgroupfs`` for runc itself, or ``systemd``.
    """
    restrict = json.dumps(not may_raise_priority)
    return f"""version = 2
root = "{machine.root}/containerd"
state = "{machine.run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs"]

[grpc]
  address = "{machine.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = {restrict}

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{machine.root}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        Root = "{machine.run}/runc"
        SystemdCgroup = {json.dumps(cgroup_driver == "systemd")}
"""


def network_name(machine: MachineLayout) -> str:
    """Return the name of the machine's CNI network, unique on the host."""
    return f"{machine.cluster.prefix}-{machine.name}"


def network_config(machine: MachineLayout) -> str:
    """Return the CNI network: a bridge in the machine's namespace that masquerades."""
    bridge = {
        "type": "bridge",
        "bridge": CNI_BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": machine.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{machine.root}/cni-addresses",
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    document = {"cniVersion": "0.4.0", "name": network_name(machine), "plugins": [bridge, ports]}
    return json.dumps(document, indent=2) + "\n"


def write_config(machine: MachineLayout) -> Path:
    """Write both configuration files and return containerd's."""
    for folder in (machine.root / "containerd", machine.root / "cni", machine.run):
        folder.mkdir(parents=True, exist_ok=True)
    runc, cni_bin = shutil.which("runc"), cni_bin_folder()
    if runc is None or cni_bin is None:
        raise Unprepared("runc or the CNI plugins have gone: run python -m devcluster up again")
    (machine.root / "cni" / "10-edgelet.conflist").write_text(network_config(machine))
    file = machine.root / "containerd.toml"
    file.write_text(
        config(
            machine,
            snapshotter=snapshotter(machine),
            may_raise_priority=has_capability(CAP_SYS_RESOURCE),
            cni_bin=cni_bin,
            runc=Path(runc),
            cgroup_driver=cgroups.driver(),
        )
    )
    return file


def snapshotter(machine: MachineLayout) -> str:
    """Return the snapshotter that works where the machine's images are kept."""
    return "overlayfs" if can_overlay(machine.root / "containerd") else "native"


def command(machine: MachineLayout, config_file: Path) -> list[str]:
    """Return the command line, in the machine's namespace."""
    return [*in_netns(machine.netns), "containerd", "--config", str(config_file)]


def ctr(machine: MachineLayout, *arguments: str, timeout_s: float = IMPORT_TIMEOUT_S) -> str:
    """Run containerd's own client in the namespace that CRI uses."""
    return run(
        ["ctr", "--address", machine.containerd_socket, "--namespace", NAMESPACE, *arguments],
        timeout_s=timeout_s,
    )


def answers(machine: MachineLayout) -> bool:
    """Tell whether containerd serves calls."""
    if not machine.containerd_socket.is_socket():
        return False
    address = ["ctr", "--address", str(machine.containerd_socket), "--connect-timeout", "2s"]
    return "Server:" in run([*address, "version"], check=False)


def serves_cri(machine: MachineLayout) -> bool:
    """Tell whether CRI serves calls: after a start it takes up what was there before."""
    with grpc.insecure_channel(f"unix://{machine.containerd_socket}") as channel:
        call = channel.unary_unary(
            "/runtime.v1.RuntimeService/Status",
            request_serializer=pb.StatusRequest.SerializeToString,
            response_deserializer=pb.StatusResponse.FromString,
        )
        try:
            call(pb.StatusRequest(), timeout=CRI_TIMEOUT_S)
        except grpc.RpcError:
            return False
    return True


def import_images(machine: MachineLayout, archives: list[Path]) -> None:
    """Import archives that are not there yet, unpacked for the machine's snapshotter."""
    there = ctr(machine, "images", "ls", "-q").split()
    kind = (
        "overlayfs" if "overlayfs" in (machine.root / "containerd.toml").read_text() else "native"
    )
    for archive in archives:
        if not any(archive.stem in name for name in there):
            ctr(machine, "images", "import", "--snapshotter", kind, str(archive))


def shims(machine: MachineLayout) -> list[int]:
    """Return the pids of the shims that serve this containerd, dead or alive."""
    wanted = f"-address\0{machine.containerd_socket}\0".encode()
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


def end_containers(machines: Sequence[MachineLayout]) -> set[str]:
    """Kill all containers of the machines and their shims, once their containerds have ended.

    Returns:
        The cgroups they were in, in the machines' part of the tree or in runc's default place.
    """
    groups: set[str] = set()
    victims: set[int] = set()
    for machine in machines:
        victims |= cgroups.processes_below(machine.cgroup_root)
        for shim in shims(machine):
            children = _descendants(shim)
            of_shim = cgroups.cgroups_of(shim)
            groups |= {group for pid in children for group in cgroups.cgroups_of(pid) - of_shim}
            victims |= {shim, *children}
    # All at once: the kernel takes a second or two to take each sandbox's namespaces apart.
    end_together(victims)
    return groups


def remove_shared_names(machine: MachineLayout) -> None:
    """Remove what carries our names in the folders that are compiled in.

    The last two are those of ``ctr run``, which knows nothing of our runc root.
    """
    state = machine.run / "containerd" / "io.containerd.runtime.v2.task"
    for bundle in state.glob("*/*"):
        address = bundle / "address"
        if address.is_file():
            socket = Path(address.read_text().strip().removeprefix("unix://"))
            if socket.parent == SHARED_STATE / "s":
                socket.unlink(missing_ok=True)
        for cached in CNI_CACHE.glob(f"*/*-{bundle.name}-*"):
            cached.unlink(missing_ok=True)
        for fifo in SHARED_STATE.glob(f"fifo/*/{bundle.name}-std*"):
            fifo.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # two more are in there
                fifo.parent.rmdir()
        of_runc = SHARED_STATE / "runc" / bundle.parent.name / bundle.name
        if str(machine.run) in _text_of(of_runc / "state.json"):
            shutil.rmtree(of_runc)
    for cached in CNI_CACHE.glob(f"*/{network_name(machine)}-*"):
        cached.unlink(missing_ok=True)


def _text_of(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


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

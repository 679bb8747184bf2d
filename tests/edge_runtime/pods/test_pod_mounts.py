"""Files that the edge mounts into containers, on a real file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.pods.pod_mounts import PodMounts, remove_mounts
from tests.fakes.edge_pods import pod_json
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_config import Mount
    from edge_runtime.pods.pod_settings import PodSettings

IPS = ("10.0.0.2", "fd00::2")


@pytest.fixture
def settings(tmp_path: Path) -> PodSettings:
    """Folders of the test's own."""
    return make_pod_settings(tmp_path)


def _mounts(settings: PodSettings) -> PodMounts:
    machine_hosts = settings.pods_dir.parent / "machine-hosts"
    machine_hosts.parent.mkdir(parents=True, exist_ok=True)
    machine_hosts.write_text("127.0.0.1 machine\n")
    return PodMounts(settings, machine_hosts=machine_hosts, has_selinux=False)


async def _make(
    settings: PodSettings,
    pod: Pod,
    *,
    attempt: int = 0,
    ips: tuple[str, ...] = IPS,
    name: str = "c",
) -> dict[str, Mount]:
    container = pod.container(name)
    assert container is not None
    found = await _mounts(settings).mounts(pod, container, attempt=attempt, ips=ips)
    return {each.container_path: each for each in found}


def _stat(path: str | Path) -> os.stat_result:
    return Path(path).stat()


def _mode(path: str | Path) -> int:
    return stat.S_IMODE(_stat(path).st_mode)


def _read(mount: Mount) -> str:
    return Path(mount.host_path).read_text()


def _write(mount: Mount, text: str) -> None:
    Path(mount.host_path).write_text(text)


async def test_hosts_file_and_message_file(settings: PodSettings) -> None:
    """Where a kubelet has them, whatever the umask is."""
    old = os.umask(0o077)
    try:
        mounts = await _make(settings, Pod(pod_json(hostname="h", subdomain="s")))
    finally:
        os.umask(old)
    assert list(mounts) == ["/etc/hosts", "/dev/termination-log"]
    hosts, message = mounts["/etc/hosts"], mounts["/dev/termination-log"]
    assert hosts.host_path == str(settings.pods_dir / "u/etc-hosts")
    assert message.host_path == str(settings.pods_dir / "u/containers/c/00000000")
    assert (_mode(hosts.host_path), _mode(message.host_path)) == (0o644, 0o666)
    assert _mode(settings.pods_dir / "u") == 0o700
    lines = (settings.pods_dir / "u/etc-hosts").read_text().splitlines()
    assert lines[-2:] == [
        "10.0.0.2\th.s.ns.svc.cluster.local\th",
        "fd00::2\th.s.ns.svc.cluster.local\th",
    ]
    assert not hosts.readonly


async def test_each_attempt_has_an_empty_message_of_its_own(settings: PodSettings) -> None:
    """What the attempt before said is not said twice; a second try of one begins empty."""
    pod = Pod(pod_json())
    first = (await _make(settings, pod))["/dev/termination-log"]
    _write(first, "old")
    second = (await _make(settings, pod, attempt=1))["/dev/termination-log"]
    assert first != second
    await _make(settings, pod)
    assert _read(first) == ""


@pytest.mark.parametrize(
    ("container", "ips", "paths"),
    [
        ({"terminationMessagePath": "/tmp/last"}, IPS, ["/etc/hosts", "/tmp/last"]),
        ({"terminationMessagePath": "last"}, IPS, ["/etc/hosts", "/last"]),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/etc/hosts"}]},
            IPS,
            ["/dev/termination-log"],
        ),
        ({}, (), ["/dev/termination-log"]),
    ],
)
async def test_what_is_mounted(
    settings: PodSettings, container: dict[str, Any], ips: tuple[str, ...], paths: list[str]
) -> None:
    """A container's own hosts file and message path come first."""
    pod = Pod(pod_json(containers=[{"name": "c", "image": "i"} | container]))
    assert list(await _make(settings, pod, ips=ips)) == paths


async def test_hosts_file_with_the_machines_network(settings: PodSettings) -> None:
    """A copy, so that a container cannot change the machine's own."""
    pod = Pod(pod_json(hostNetwork=True, hostAliases=[{"ip": "1.1.1.1", "hostnames": ["a"]}]))
    assert _read((await _make(settings, pod, ips=()))["/etc/hosts"]) == (
        "# Kubernetes-managed hosts file (host network).\n127.0.0.1 machine\n"
        "\n# Entries added by HostAliases.\n1.1.1.1\ta\n"
    )


async def test_hosts_file_is_written_in_place(settings: PodSettings) -> None:
    """Containers that run see the new one, since they have this very file mounted."""
    pod = Pod(pod_json())
    mount = (await _make(settings, pod))["/etc/hosts"]
    inode = _stat(mount.host_path).st_ino
    await _make(settings, pod, ips=("10.9.9.9",))
    assert _stat(mount.host_path).st_ino == inode
    assert "10.9.9.9\tp\n" in _read(mount)


async def test_no_link_is_followed(settings: PodSettings, tmp_path: Path) -> None:
    """Whoever could put one there would have us write to another file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = settings.pods_dir / "u/containers/c"
    folder.mkdir(parents=True)
    (folder / "00000000").symlink_to(victim)
    (settings.pods_dir / "u/etc-hosts").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        await _make(settings, Pod(pod_json()))
    assert list(await _make(settings, Pod(pod_json()), ips=())) == []
    assert victim.read_text() == "precious"


async def test_uid_that_leads_out_of_the_folder_is_refused(settings: PodSettings) -> None:
    """The API server lets no such one through; nothing is written all the same."""
    with pytest.raises(OSError, match="not a file name"):
        await _make(settings, Pod(pod_json(uid="..")))


async def test_nothing_is_left_of_a_removed_pod(settings: PodSettings) -> None:
    """But what others put into its folder, which may be somebody's data."""
    await _make(settings, Pod(pod_json()))
    remove_mounts(settings, PodUID("u"))
    assert not (settings.pods_dir / "u").exists()
    remove_mounts(settings, PodUID("u"))
    await _make(settings, Pod(pod_json()))
    (settings.pods_dir / "u/volumes").mkdir()
    remove_mounts(settings, PodUID("u"))
    assert [each.name for each in (settings.pods_dir / "u").iterdir()] == ["volumes"]


async def test_mounts_are_labelled_where_the_kernel_wants_it(settings: PodSettings) -> None:
    """Or a confined container could not read them."""
    pod = Pod(pod_json())
    mounts = PodMounts(settings, has_selinux=True)
    found = await mounts.mounts(pod, pod.containers[0], attempt=0, ips=IPS)
    assert [each.selinux_relabel for each in found] == [True, True]

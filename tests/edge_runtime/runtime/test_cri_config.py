"""A pod's spec as sandbox and containers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import (
    DnsConfig,
    IDRange,
    Mount,
    MountedImage,
    MountPropagation,
    PortMapping,
    ResolvedImage,
)
from edge_runtime.runtime.cri_config import container_config, container_hash, sandbox_config
from edge_runtime.runtime.cri_encoding import encode_container_config, encode_sandbox_config
from edge_runtime.runtime.cri_resources import MachineResources

MACHINE = MachineResources(memory_bytes=4 << 30, cgroup_v2=True, hugepage_sizes=("2MB",))
RAW: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app": "web", "io.kubernetes.pod.name": "forged"},
        "annotations": {"a": "b"},
        "deletionGracePeriodSeconds": 7,
    },
    "spec": {
        "terminationGracePeriodSeconds": 9,
        "securityContext": {"sysctls": [{"name": "net/ipv4/ip_forward", "value": "1"}]},
        "containers": [
            {
                "name": "c",
                "image": "busybox:1",
                "command": ["$(CMD)", "$(UNKNOWN)"],
                "args": ["a $(X)"],
                "workingDir": "/w",
                "tty": True,
                "stdin": True,
                "stdinOnce": True,
                "lifecycle": {"stopSignal": "SIGRTMIN+3", "preStop": {"sleep": {"seconds": 1}}},
                "ports": [
                    {"containerPort": 80, "hostPort": 8080, "protocol": "TCP", "name": "http"},
                    {"containerPort": 81, "name": "http"},
                    {"containerPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"},
                ],
            }
        ],
    },
}
POD = Pod(RAW)
CONTAINER = POD.containers[0]


def test_sandbox() -> None:
    """Identity, logs, labels that no pod can forge, ports, sysctls with dots."""
    dns = DnsConfig(servers=("10.0.0.10",), searches=("svc",), options=("ndots:5",))
    config = sandbox_config(
        POD, attempt=2, pod_logs_dir="/logs", cgroup_parent="/kubepods/x", machine=MACHINE, dns=dns
    )
    assert (config.name, config.namespace, config.uid, config.attempt) == ("web", "shop", "u-1", 2)
    assert config.hostname == "web"
    assert config.log_directory == "/logs/shop_web_u-1"
    assert config.labels == {
        "app": "web",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u-1",
    }
    assert config.annotations == {"a": "b"}
    assert config.sysctls == {"net.ipv4.ip_forward": "1"}
    assert config.port_mappings == (
        PortMapping(protocol="TCP", container_port=80, host_port=8080),
        PortMapping(protocol="UDP", container_port=53, host_port=0, host_ip="10.0.0.1"),
    )
    encoded = encode_sandbox_config(config)
    assert list(encoded.dns_config.servers) == ["10.0.0.10"]
    assert encoded.linux.cgroup_parent == "/kubepods/x"
    assert encoded.linux.sysctls["net.ipv4.ip_forward"] == "1"


def test_the_hosts_network_has_the_hosts_name() -> None:
    """A pod on the machine's network does not rename the machine."""
    pod = Pod({**RAW, "spec": {**RAW["spec"], "hostNetwork": True}})
    config = sandbox_config(pod, attempt=0, pod_logs_dir="/l", cgroup_parent="/x", machine=MACHINE)
    assert config.hostname == ""


def test_container() -> None:
    """Command, environment, log, labels and annotations, down to CRI's message."""
    config = container_config(
        POD,
        CONTAINER,
        restart_count=3,
        image=ResolvedImage(ref="sha256:1", uid=5),
        env={"CMD": "sh", "X": "y", "RAW": "\udcff"},
        machine=MACHINE,
        mounts=[Mount(container_path="/c", host_path="/h", readonly=True)],
    )
    assert config.command == ("sh", "$(UNKNOWN)")
    assert config.args == ("a y",)
    assert config.log_path == "c/3.log"
    assert config.labels == {
        "io.kubernetes.container.name": "c",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u-1",
    }
    assert config.annotations == {
        "io.kubernetes.container.hash": container_hash(CONTAINER),
        "io.kubernetes.container.restartCount": "3",
        "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
        "io.kubernetes.container.terminationMessagePolicy": "File",
        "io.kubernetes.container.preStopHandler": '{"sleep":{"seconds":1}}',
        "io.kubernetes.container.ports": (
            '[{"containerPort":80,"hostPort":8080,"protocol":"TCP","name":"http"},'
            '{"containerPort":81,"name":"http"},'
            '{"containerPort":53,"protocol":"UDP","hostIP":"10.0.0.1"}]'
        ),
        "io.kubernetes.pod.deletionGracePeriod": "7",
        "io.kubernetes.pod.terminationGracePeriod": "9",
    }
    encoded = encode_container_config(config)
    assert (encoded.metadata.name, encoded.metadata.attempt) == ("c", 3)
    assert (encoded.image.image, encoded.image.user_specified_image) == ("sha256:1", "busybox:1")
    assert [(each.key, each.value) for each in encoded.envs] == [
        ("CMD", b"sh"),
        ("X", b"y"),
        ("RAW", b"\xff"),
    ]
    assert (encoded.stdin, encoded.stdin_once, encoded.tty) == (True, True, True)
    assert encoded.working_dir == "/w"
    assert encoded.mounts[0].readonly
    assert encoded.linux.security_context.run_as_user.value == 5
    assert encoded.linux.resources.unified["memory.oom.group"] == "1"
    assert encoded.stop_signal == pb.SIGRTMINPLUS3


def test_a_pods_own_users() -> None:
    """Sandbox, container and mounts have the same mapping; without one the machine's ids count."""
    users = IDRange(host_id=131072, length=65536)
    sandbox = sandbox_config(
        POD,
        attempt=0,
        pod_logs_dir="/l",
        cgroup_parent="/x",
        machine=MACHINE,
        users=users,
        runtime_handler="runsc",
    )
    assert sandbox.runtime_handler == "runsc"
    container = container_config(
        POD,
        CONTAINER,
        restart_count=0,
        image=ResolvedImage(ref="r"),
        env={},
        machine=MACHINE,
        mounts=[Mount(container_path="/c", host_path="/h")],
        users=users,
    )
    mapping = pb.IDMapping(host_id=131072, container_id=0, length=65536)
    encoded = encode_container_config(container)
    for namespaces in (
        encode_sandbox_config(sandbox).linux.security_context.namespace_options,
        encoded.linux.security_context.namespace_options,
    ):
        assert namespaces.userns_options.mode == pb.POD
        assert list(namespaces.userns_options.uids) == [mapping]
        assert list(namespaces.userns_options.gids) == [mapping]
    assert list(encoded.mounts[0].uidMappings) == [mapping]
    assert list(encoded.mounts[0].gidMappings) == [mapping]
    plain = sandbox_config(POD, attempt=0, pod_logs_dir="/", cgroup_parent="/", machine=MACHINE)
    options = encode_sandbox_config(plain).linux.security_context.namespace_options
    assert options.userns_options.mode == pb.NODE


def test_an_image_is_mounted_by_what_was_resolved() -> None:
    """Beside what the pod calls it, for the runtime's own record."""
    image = MountedImage(
        ref="sha256:1", user_specified_image="models:v1", runtime_handler="kata", sub_path="a/b"
    )
    container = container_config(
        POD,
        CONTAINER,
        restart_count=0,
        image=ResolvedImage(ref="r"),
        env={},
        machine=MACHINE,
        mounts=[
            Mount(container_path="/m", host_path="", readonly=True, image=image),
            Mount(
                container_path="/c",
                host_path="/h",
                propagation=MountPropagation.BIDIRECTIONAL,
                recursive_read_only=True,
            ),
        ],
    )
    mounted, bound = encode_container_config(container).mounts
    assert (mounted.host_path, mounted.image_sub_path) == ("", "a/b")
    assert mounted.image == pb.ImageSpec(
        image="sha256:1", user_specified_image="models:v1", runtime_handler="kata"
    )
    assert not bound.HasField("image")
    assert bound.propagation == pb.PROPAGATION_BIDIRECTIONAL
    assert bound.recursive_read_only


def test_the_hash_never_changes() -> None:
    """Another value here restarts every container of every site with the next version."""
    assert container_hash(Container({"name": "c", "image": "busybox:1"})) == "ec111b649b728393"


@given(st.dictionaries(st.sampled_from(["resources", "env", "args", "tty"]), st.integers()))
def test_the_hash_is_of_name_and_image_alone(other: dict[str, int]) -> None:
    """Whatever else changes is immutable, or changed in place."""
    plain = Container({"name": "c", "image": "busybox:1"})
    assert container_hash(Container({**plain.raw, **other})) == container_hash(plain)
    assert container_hash(Container({"name": "c", "image": "busybox:2"})) != container_hash(plain)

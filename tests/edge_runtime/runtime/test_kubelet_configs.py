"""What the runtime is asked for, beside what the kubelet's own code asks for, for the same pods.

The kubelet's answers come from ``tests/interop/kubelet_configs/regenerate.py``.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.runtime.cri_config import container_config, sandbox_config
from edge_runtime.runtime.cri_encoding import encode_container_config, encode_sandbox_config
from edge_runtime.runtime.cri_resources import (
    MachineResources,
    PodCgroupLimits,
    hugepage_unit,
    pod_cgroup_limits,
)
from edge_runtime.runtime.cri_security import SecurityConfigError

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container

Json = dict[str, Any]

ANSWERS = Path(__file__).parents[2] / "interop/kubelet_configs/kubelet.jsonl.gz"
# The machine that the kubelet was asked on.
MACHINE = MachineResources(memory_bytes=4 << 30, cgroup_v2=False, hugepage_sizes=("2MB", "1GB"))
HASH = "io.kubernetes.container.hash"
JSON_ANNOTATIONS = ("io.kubernetes.container.ports", "io.kubernetes.container.preStopHandler")


def read_answers() -> list[Json]:
    """Pods with the kubelet's answers."""
    with gzip.open(ANSWERS, "rt") as lines:
        return [json.loads(line) for line in lines]


ALL = read_answers()


@pytest.fixture(params=ALL, ids=[each["pod"]["metadata"]["name"] for each in ALL])
def answer(request: pytest.FixtureRequest) -> Json:
    """One pod and what the kubelet makes of it."""
    found: Json = request.param
    return found


def test_sandbox(answer: Json) -> None:
    """Identity, ports, namespaces, security, sums."""
    config = sandbox_config(
        Pod(answer["pod"]),
        attempt=2,
        pod_logs_dir="/var/log/pods",
        cgroup_parent="/parent",
        machine=MACHINE,
    )
    theirs = ParseDict(answer["sandbox"], pb.PodSandboxConfig(), ignore_unknown_fields=True)
    assert comparable(encode_sandbox_config(config)) == comparable(theirs)


def test_containers(answer: Json) -> None:
    """Every field of every container, or the same refusal."""
    pod = Pod(answer["pod"])
    theirs: Json = {}
    for name, found in answer["containers"].items():
        config = found.get("config")
        if config is None:
            theirs[name] = found["error"]
        else:
            message = ParseDict(config, pb.ContainerConfig(), ignore_unknown_fields=True)
            theirs[name] = comparable(message)
    image = ResolvedImage(ref="sha256:1", uid=answer["imageUid"], username=answer["imageUsername"])
    ours = {each.name: ask_for(pod, each, image) for each in pod.all_containers}
    assert ours == theirs


def test_cgroup(answer: Json) -> None:
    """The pod's own group."""
    theirs = answer["cgroup"]
    pages = {hugepage_unit(int(size)): each for size, each in (theirs["hugepages"] or {}).items()}
    assert pod_cgroup_limits(Pod(answer["pod"])) == PodCgroupLimits(
        cpu_shares=theirs["shares"],
        # 0 is how the kubelet says that there is no limit.
        cpu_quota_us=theirs["quota"] or None,
        memory_bytes=theirs["memory"] or None,
        hugepages=tuple(sorted(pages.items())),
    )


def ask_for(pod: Pod, container: Container, image: ResolvedImage) -> Json | str:
    """What our code makes of one container."""
    target = container.target_container_name
    try:
        config = container_config(
            pod,
            container,
            restart_count=3,
            image=image,
            env={},
            machine=MACHINE,
            seccomp_profile_root="/fakeSeccompProfileRoot",
            target_id=f"id-of-{target}" if target else "",
        )
    except SecurityConfigError as exc:
        return str(exc)
    return comparable(encode_container_config(config))


def comparable(message: pb.PodSandboxConfig | pb.ContainerConfig) -> Json:
    """A configuration without what is known to differ."""
    found: Json = MessageToDict(message, preserving_proto_field_name=True)
    options = found["linux"]["security_context"]["namespace_options"]
    # The kubelet's stand-ins know of no user namespaces.
    options.pop("userns_options", None)
    annotations = found.get("annotations", {})
    # Ours is stable across versions in its own way.
    annotations.pop(HASH, None)
    for name in JSON_ANNOTATIONS:
        if name in annotations:
            annotations[name] = json.loads(annotations[name])
    return found

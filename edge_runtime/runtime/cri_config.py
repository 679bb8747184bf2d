"""A pod's spec as the sandbox and containers that CRI is asked for; pure.

What the spec does not hold (addresses of DNS servers, host paths of mounts, the resolved image,
facts of the machine) comes in as arguments. Fields that this edge cannot honour were refused by
admission before: nothing is dropped here in silence.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_config import (
    ContainerConfig,
    DnsConfig,
    Mount,
    PortMapping,
    ResolvedImage,
    SandboxConfig,
)
from edge_runtime.objects.runtime_status import (
    CONTAINER_HASH_ANNOTATION,
    CONTAINER_NAME_LABEL,
    CONTAINER_PORTS_ANNOTATION,
    POD_DELETION_GRACE_PERIOD_ANNOTATION,
    POD_NAME_LABEL,
    POD_NAMESPACE_LABEL,
    POD_TERMINATION_GRACE_PERIOD_ANNOTATION,
    POD_UID_LABEL,
    PRE_STOP_HANDLER_ANNOTATION,
    RESTART_COUNT_ANNOTATION,
    TERMINATION_MESSAGE_PATH_ANNOTATION,
    TERMINATION_MESSAGE_POLICY_ANNOTATION,
)
from edge_runtime.runtime.cri_resources import (
    MachineResources,
    container_resources,
    sandbox_overhead,
    sandbox_resources,
)
from edge_runtime.runtime.cri_security import container_security, sandbox_security
from edge_runtime.runtime.expansion import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import IDRange


def pod_log_directory(pod_logs_dir: str, pod: Pod) -> str:
    """Return the folder of a pod's container logs, absolute.

    Source: kubernetes pkg/kubelet/kuberuntime/helpers.go ``BuildPodLogsDirectory``.
    """
    return posixpath.join(pod_logs_dir, pod.log_folder_name)


def container_log_path(container_name: str, restart_count: int) -> str:
    """Return a container's log file, relative to its pod's folder."""
    return f"{container_name}/{restart_count}.log"


def container_hash(container: Container) -> str:
    """Return the hash that tells whether a running container is still the one that is asked for.

    Only name and image count: every other field of a container is either immutable or changed in
    place. It MUST stay the same across versions of edgelet, or an upgrade restarts every container.

    Source: kubernetes pkg/kubelet/kuberuntime ``pickFieldsToHash``.
    """
    fields = json.dumps(
        {"image": container.image, "name": container.name}, separators=(",", ":"), sort_keys=True
    )
    return hashlib.blake2b(fields.encode(), digest_size=8).hexdigest()


def sandbox_config(
    pod: Pod,
    *,
    attempt: int,
    pod_logs_dir: str,
    cgroup_parent: str,
    machine: MachineResources,
    dns: DnsConfig | None = None,
    hostname: str | None = None,
    users: IDRange | None = None,
    runtime_handler: str = "",
) -> SandboxConfig:
    """Compute the sandbox of a pod.

    Args:
        pod: The pod.
        attempt: How many sandboxes it had before.
        pod_logs_dir: Root of all pods' log folders, absolute.
        cgroup_parent: The pod's cgroup, see ``objects/cgroup_names.py``.
        machine: What the machine's kernel can do.
        dns: Contents of resolv.conf, None for the machine's own.
        hostname: With its domain where the pod wants that; None for its plain name. Without
            meaning with the machine's network.
        users: The pod's own users and groups, None for the machine's.
        runtime_handler: Of the pod's RuntimeClass, "" for the runtime's default.

    Raises:
        SecurityConfigError: The security context cannot be honoured.
        QuantityError: A request or limit is no quantity.
    """
    return SandboxConfig(
        name=pod.name,
        namespace=pod.namespace,
        uid=pod.uid,
        attempt=attempt,
        hostname="" if pod.host_network else hostname or pod.hostname,
        log_directory=pod_log_directory(pod_logs_dir, pod),
        cgroup_parent=cgroup_parent,
        security=sandbox_security(pod, users=users),
        dns=dns,
        port_mappings=_port_mappings(pod),
        labels={**pod.labels, **_pod_labels(pod)},
        annotations=pod.annotations,
        sysctls=_sysctls(pod),
        resources=sandbox_resources(pod, machine),
        overhead=sandbox_overhead(pod, machine),
        runtime_handler=runtime_handler,
    )


def container_config(
    pod: Pod,
    container: Container,
    *,
    restart_count: int,
    image: ResolvedImage,
    env: Mapping[str, str],
    machine: MachineResources,
    mounts: Sequence[Mount] = (),
    seccomp_profile_root: str = "/var/lib/kubelet/seccomp",
    users: IDRange | None = None,
    target_id: str = "",
) -> ContainerConfig:
    """Compute a container of a pod.

    Args:
        pod: The pod.
        container: One of its containers.
        restart_count: How often it was started before; part of its identity and of its log's name.
        image: What the image was resolved to on this machine.
        env: Its whole environment, expanded; see ``pods/environment.py``.
        machine: What the machine's kernel can do.
        mounts: Bind mounts of volumes and of the files that a kubelet provides.
        seccomp_profile_root: Folder that Localhost seccomp profiles are relative to.
        users: The pod's own users and groups, None for the machine's.
        target_id: The running container whose processes an ephemeral one is to see, "" for none.

    Raises:
        SecurityConfigError: The security context forbids it.
        QuantityError: A request or limit is no quantity.
    """
    return ContainerConfig(
        name=container.name,
        attempt=restart_count,
        image_ref=image.ref,
        user_specified_image=container.image,
        log_path=container_log_path(container.name, restart_count),
        resources=container_resources(pod, container, machine),
        security=container_security(
            pod,
            container,
            image_uid=image.uid,
            image_username=image.username,
            seccomp_profile_root=seccomp_profile_root,
            extra_masked_paths=machine.extra_masked_paths,
            users=users,
            target_id=target_id,
        ),
        command=tuple(expand(word, env) for word in container.command),
        args=tuple(expand(word, env) for word in container.args),
        working_dir=container.working_dir,
        env=tuple(env.items()),
        mounts=tuple(mounts),
        labels={**_pod_labels(pod), CONTAINER_NAME_LABEL: container.name},
        annotations=_container_annotations(pod, container, restart_count),
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        stop_signal=str((container.raw.get("lifecycle") or {}).get("stopSignal") or ""),
    )


def _pod_labels(pod: Pod) -> dict[str, str]:
    return {
        POD_NAME_LABEL: pod.name,
        POD_NAMESPACE_LABEL: pod.namespace,
        POD_UID_LABEL: str(pod.uid),
    }


def _container_annotations(pod: Pod, container: Container, restart_count: int) -> dict[str, str]:
    """Compute what the pod's end needs even when its object is gone by then.

    Source: kubernetes pkg/kubelet/kuberuntime/labels.go ``newContainerAnnotations``.
    """
    annotations = {
        CONTAINER_HASH_ANNOTATION: container_hash(container),
        RESTART_COUNT_ANNOTATION: str(restart_count),
        TERMINATION_MESSAGE_PATH_ANNOTATION: container.termination_message_path,
        TERMINATION_MESSAGE_POLICY_ANNOTATION: container.termination_message_policy,
    }
    if pod.deletion_grace_period_s is not None:
        annotations[POD_DELETION_GRACE_PERIOD_ANNOTATION] = str(pod.deletion_grace_period_s)
    if pod.spec.get("terminationGracePeriodSeconds") is not None:
        annotations[POD_TERMINATION_GRACE_PERIOD_ANNOTATION] = str(pod.termination_grace_period_s)
    pre_stop = (container.raw.get("lifecycle") or {}).get("preStop")
    if pre_stop is not None:
        annotations[PRE_STOP_HANDLER_ANNOTATION] = _compact(pre_stop)
    if container.ports:
        annotations[CONTAINER_PORTS_ANNOTATION] = _compact(container.ports)
    return annotations


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _sysctls(pod: Pod) -> dict[str, str]:
    """Collect the pod's sysctls with dots between the parts of a name.

    Source: kubernetes component-helpers/node/util/sysctl ``NormalizeName``: the first separator of
    a name says which of "." and "/" it uses.
    """
    result: dict[str, str] = {}
    for entry in pod.security_context.get("sysctls") or ():
        name = str(entry["name"])
        slash, dot = name.find("/"), name.find(".")
        if slash >= 0 and (dot < 0 or slash < dot):
            name = name.translate(str.maketrans("./", "/."))
        result[name] = str(entry.get("value", ""))
    return result


def _port_mappings(pod: Pod) -> tuple[PortMapping, ...]:
    """Collect the containers' ports; the CNI plugin acts on those with a host port.

    Source: kubernetes pkg/kubelet/container/helpers.go ``MakePortMappings``.
    """
    mappings: list[PortMapping] = []
    for container in pod.containers:
        seen: set[str] = set()
        for port in container.ports:
            mapping = _port_mapping(port)
            name = str(port.get("name") or mapping)
            if name not in seen:
                seen.add(name)
                mappings.append(mapping)
    return tuple(mappings)


def _port_mapping(port: Json) -> PortMapping:
    return PortMapping(
        protocol=str(port.get("protocol") or "TCP"),
        container_port=int(port["containerPort"]),
        host_port=int(port.get("hostPort") or 0),
        host_ip=str(port.get("hostIP") or ""),
    )

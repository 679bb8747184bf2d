"""Security context of sandboxes and containers; pure.

Source: kubernetes pkg/kubelet/kuberuntime/security_context.go, pkg/securitycontext/util.go.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from edge_runtime.objects.runtime_config import (
    ContainerSecurity,
    NamespaceOptions,
    ProfileType,
    SandboxSecurity,
    SecurityProfile,
    SELinuxOptions,
)
from edge_runtime.objects.runtime_status import NamespaceMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import IDRange

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_MAX_USER_ID = (1 << 31) - 1
# What a container takes over from the pod where it says nothing itself.
_INHERITED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seLinuxOptions")


class SecurityConfigError(ValueError):
    """The pod's security settings forbid this container, or contradict themselves.

    The container waits with reason CreateContainerConfigError and this message.
    """


def namespace_options(
    pod: Pod, *, users: IDRange | None = None, target_id: str = ""
) -> NamespaceOptions:
    """Return whose namespaces are used; the process ids are each container's own by default.

    Args:
        pod: The pod.
        users: Its own users and groups, None for the machine's.
        target_id: The container whose process ids an ephemeral one is to see.
    """
    pid = NamespaceMode.CONTAINER
    if pod.host_pid:
        pid = NamespaceMode.NODE
    elif pod.share_process_namespace:
        pid = NamespaceMode.POD
    elif target_id:
        pid = NamespaceMode.TARGET
    return NamespaceOptions(
        network=NamespaceMode.NODE if pod.host_network else NamespaceMode.POD,
        pid=pid,
        ipc=NamespaceMode.NODE if pod.host_ipc else NamespaceMode.POD,
        target_id=target_id if pid is NamespaceMode.TARGET else "",
        users=users,
    )


def sandbox_security(pod: Pod, *, users: IDRange | None = None) -> SandboxSecurity:
    """Compute the sandbox's security context; its own process always runs confined.

    Raises:
        SecurityConfigError: Its groups cannot be set as asked.
    """
    context = pod.security_context
    return SandboxSecurity(
        namespaces=namespace_options(pod, users=users),
        seccomp=SecurityProfile(type=ProfileType.RUNTIME_DEFAULT),
        run_as_user=_number(context, "runAsUser"),
        run_as_group=_number(context, "runAsGroup"),
        supplemental_groups=_supplemental_groups(context),
        supplemental_groups_strict=_is_strict(context),
        selinux=_selinux(context),
        privileged=any(c.security_context.get("privileged") is True for c in pod.all_containers),
    )


def container_security(
    pod: Pod,
    container: Container,
    *,
    image_uid: int | None,
    image_username: str,
    seccomp_profile_root: str,
    extra_masked_paths: Sequence[str],
    users: IDRange | None = None,
    target_id: str = "",
) -> ContainerSecurity:
    """Compute a container's security context; its own settings override the pod's.

    Args:
        pod: The pod.
        container: One of its containers.
        image_uid: Numeric user of the image, None when it names one or none.
        image_username: User name of the image, "" when it is numeric or absent.
        seccomp_profile_root: Folder that Localhost profiles are relative to.
        extra_masked_paths: Paths of this machine to hide besides MASKED_PATHS.
        users: The pod's own users and groups, None for the machine's.
        target_id: The container whose process ids an ephemeral one is to see, "" for none.

    Raises:
        SecurityConfigError: runAsNonRoot forbids it, or a profile or policy is none.
    """
    if image_uid is None and not image_username:
        image_uid = 0  # an image that says nothing runs as root
    context = effective_context(pod, container)
    verify_run_as_non_root(
        pod, container, context, image_uid=image_uid, image_username=image_username
    )
    user = _number(context, "runAsUser")
    unmasked = context.get("procMount") == "Unmasked"
    capabilities = context.get("capabilities") or {}
    return ContainerSecurity(
        namespaces=namespace_options(pod, users=users, target_id=target_id),
        seccomp=_seccomp(pod, container, seccomp_profile_root),
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        privileged=context.get("privileged") is True,
        selinux=_selinux(context),
        run_as_user=image_uid if user is None else user,
        run_as_group=_number(context, "runAsGroup"),
        run_as_username=image_username if user is None else "",
        readonly_rootfs=context.get("readOnlyRootFilesystem") is True,
        supplemental_groups=_supplemental_groups(pod.security_context),
        supplemental_groups_strict=_is_strict(pod.security_context),
        no_new_privs=context.get("allowPrivilegeEscalation") is False,
        masked_paths=() if unmasked else (*MASKED_PATHS, *extra_masked_paths),
        readonly_paths=() if unmasked else READONLY_PATHS,
        apparmor=_apparmor(pod, container),
    )


def effective_context(pod: Pod, container: Container) -> Json:
    """Merge the pod's and the container's ``securityContext``; the container's fields win."""
    own = {key: value for key, value in container.security_context.items() if value is not None}
    outer = pod.security_context
    inherited = {key: outer[key] for key in _INHERITED if outer.get(key) is not None}
    return {**inherited, **own}


def verify_run_as_non_root(
    pod: Pod, container: Container, context: Json, *, image_uid: int | None, image_username: str
) -> None:
    """Check runAsNonRoot against the user that the container will get.

    Raises:
        SecurityConfigError: It would run as root, or nobody can tell.

    Source: kubernetes pkg/kubelet/kuberuntime/security_context_others.go ``verifyRunAsNonRoot``.
    """
    if context.get("runAsNonRoot") is not True:
        return
    where = f'(pod: "{pod.full_name}({pod.uid})", container: {container.name})'
    user = _number(context, "runAsUser")
    if user is not None:
        if user == 0:
            raise SecurityConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image_uid == 0:
        raise SecurityConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if image_uid is None and image_username:
        raise SecurityConfigError(
            "container has runAsNonRoot and image has non-numeric user "
            f"({image_username}), cannot verify user is non-root {where}"
        )
    if image_uid is not None and not 0 < image_uid <= _MAX_USER_ID:
        raise SecurityConfigError(
            f"container has runAsNonRoot and image has an invalid user id ({image_uid}). "
            f"(Must be 1-({_MAX_USER_ID})): must be between 0 and {_MAX_USER_ID}, inclusive {where}"
        )


def _seccomp(pod: Pod, container: Container, profile_root: str) -> SecurityProfile:
    profile = container.security_context.get("seccompProfile") or pod.security_context.get(
        "seccompProfile"
    )
    if profile is None:
        return SecurityProfile(type=ProfileType.UNCONFINED)
    return _profile(
        profile,
        localhost_ref=lambda name: _profile_path(profile_root, name),
        missing="localhostProfile must be set if seccompProfile type is Localhost.",
    )


def _profile_path(profile_root: str, name: str) -> str:
    # The API server sees to this; but what the edge opens as root, it looks at itself.
    if name.startswith("/") or ".." in name.split("/"):
        raise SecurityConfigError(
            f"seccomp localhostProfile {name!r} must be a relative path without '..'"
        )
    return posixpath.normpath(posixpath.join(profile_root, name))


def _apparmor(pod: Pod, container: Container) -> SecurityProfile | None:
    """Choose the container's profile: its own field, its old annotation, the pod's field.

    Source: kubernetes pkg/security/apparmor/helpers.go ``GetProfile``.
    """
    profile = container.security_context.get("appArmorProfile")
    if profile is None:
        legacy = _legacy_apparmor(pod.annotations.get(_APPARMOR_ANNOTATION + container.name, ""))
        if legacy is not None:
            return legacy
        profile = pod.security_context.get("appArmorProfile")
    if profile is None:
        return None
    return _profile(
        profile, localhost_ref=lambda name: name, missing="missing localhost apparmor profile name"
    )


def _legacy_apparmor(text: str) -> SecurityProfile | None:
    if text == "runtime/default":
        return SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)
    if text == "unconfined":
        return SecurityProfile(type=ProfileType.UNCONFINED)
    if not text.startswith("localhost/"):
        return None
    return SecurityProfile(
        type=ProfileType.LOCALHOST, localhost_ref=text.removeprefix("localhost/")
    )


def _profile(
    profile: Json, *, localhost_ref: Callable[[str], str], missing: str
) -> SecurityProfile:
    match profile.get("type"):
        case "RuntimeDefault":
            return SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)
        case "Localhost":
            name = profile.get("localhostProfile")
            if not name:
                raise SecurityConfigError(missing)
            return SecurityProfile(
                type=ProfileType.LOCALHOST, localhost_ref=localhost_ref(str(name))
            )
        case _:
            return SecurityProfile(type=ProfileType.UNCONFINED)


def _selinux(context: Json) -> SELinuxOptions | None:
    options = context.get("seLinuxOptions")
    if options is None:
        return None
    return SELinuxOptions(
        user=str(options.get("user") or ""),
        role=str(options.get("role") or ""),
        type=str(options.get("type") or ""),
        level=str(options.get("level") or ""),
    )


def _supplemental_groups(context: Json) -> tuple[int, ...]:
    groups: list[Any] = list(context.get("supplementalGroups") or ())
    if context.get("fsGroup") is not None:
        groups.insert(0, context["fsGroup"])
    return tuple(int(group) for group in groups)


def _is_strict(context: Json) -> bool:
    policy = context.get("supplementalGroupsPolicy")
    if policy not in (None, "Merge", "Strict"):
        raise SecurityConfigError(f"unsupported supplementalGroupsPolicy: {policy}")
    return policy == "Strict"


def _number(context: Json, key: str) -> int | None:
    value = context.get(key)
    return None if value is None else int(value)

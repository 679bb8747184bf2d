"""Security context of sandboxes and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import ProfileType, SecurityProfile, SELinuxOptions
from edge_runtime.objects.runtime_status import NamespaceMode
from edge_runtime.runtime.cri_security import (
    MASKED_PATHS,
    READONLY_PATHS,
    SecurityConfigError,
    container_security,
    namespace_options,
    sandbox_security,
)

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_config import ContainerSecurity

Json = dict[str, Any]


def pod(container: Json | None = None, annotations: Json | None = None, **spec: object) -> Pod:
    """A pod with one container of this security context."""
    metadata = {"name": "p", "namespace": "ns", "uid": "u", "annotations": annotations or {}}
    containers = [{"name": "c", "securityContext": container}]
    return Pod({"metadata": metadata, "spec": {"containers": containers, **spec}})


def security(
    each: Pod, *, image_uid: int | None = None, image_username: str = ""
) -> ContainerSecurity:
    """Of the pod's one container."""
    return container_security(
        each,
        each.containers[0],
        image_uid=image_uid,
        image_username=image_username,
        seccomp_profile_root="/seccomp",
        extra_masked_paths=("/sys/x",),
    )


def test_defaults() -> None:
    """What a container gets whose pod says nothing."""
    found = security(pod())
    assert found.seccomp == SecurityProfile(type=ProfileType.UNCONFINED)
    assert found.masked_paths == (*MASKED_PATHS, "/sys/x")
    assert found.readonly_paths == READONLY_PATHS
    assert found.namespaces.pid is NamespaceMode.CONTAINER
    assert found.namespaces.network is NamespaceMode.POD
    assert (found.privileged, found.no_new_privs, found.readonly_rootfs) == (False, False, False)
    assert (found.run_as_user, found.run_as_group, found.apparmor) == (0, None, None)


def test_the_sandbox_is_always_confined() -> None:
    """Whatever the pod's profile is, the sandbox's own process runs with the runtime's."""
    context = {
        "seccompProfile": {"type": "Unconfined"},
        "runAsUser": 5,
        "runAsGroup": 6,
        "fsGroup": 7,
        "supplementalGroups": [8],
        "supplementalGroupsPolicy": "Strict",
        "seLinuxOptions": {"level": "s0"},
    }
    found = sandbox_security(pod({"privileged": True}, securityContext=context))
    assert found.seccomp.type is ProfileType.RUNTIME_DEFAULT
    assert (found.run_as_user, found.run_as_group) == (5, 6)
    assert found.supplemental_groups == (7, 8)
    assert found.supplemental_groups_strict
    assert found.selinux == SELinuxOptions(level="s0")
    assert found.privileged


def test_the_containers_settings_win() -> None:
    """Container before pod before image, also where the container's value is 0 or False."""
    each = pod(
        {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "procMount": "Unmasked",
        },
        securityContext={"runAsUser": 5, "runAsGroup": 6},
    )
    found = security(each, image_uid=9, image_username="app")
    assert (found.run_as_user, found.run_as_group, found.run_as_username) == (0, 6, "")
    assert found.no_new_privs
    assert found.readonly_rootfs
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert (found.masked_paths, found.readonly_paths) == ((), ())


def test_the_images_user_counts_where_nobody_says_otherwise() -> None:
    """By number or by name, as the image has it."""
    assert security(pod(), image_uid=9).run_as_user == 9
    assert security(pod(), image_username="app").run_as_username == "app"


@pytest.mark.parametrize(
    ("spec", "network", "pid", "ipc"),
    [
        ({}, "POD", "CONTAINER", "POD"),
        ({"shareProcessNamespace": True}, "POD", "POD", "POD"),
        ({"hostNetwork": True, "hostPID": True, "hostIPC": True}, "NODE", "NODE", "NODE"),
    ],
)
def test_namespaces(spec: Json, network: str, pid: str, ipc: str) -> None:
    """Whose namespaces are used."""
    found = namespace_options(pod(**spec))
    assert (found.network.name, found.pid.name, found.ipc.name) == (network, pid, ipc)


def test_an_ephemeral_container_sees_its_targets_processes() -> None:
    """Unless all processes of the pod, or of the machine, are in sight anyway."""
    found = namespace_options(pod(), target_id="id")
    assert (found.pid, found.target_id) == (NamespaceMode.TARGET, "id")
    for field in ("shareProcessNamespace", "hostPID"):
        found = namespace_options(pod(None, None, **{field: True}), target_id="id")
        assert found.pid is not NamespaceMode.TARGET
        assert found.target_id == ""


def test_any_privileged_container_makes_the_sandbox_privileged() -> None:
    """Init and ephemeral ones as well."""
    privileged = [{"name": "i", "securityContext": {"privileged": True}}]
    assert sandbox_security(pod(initContainers=privileged)).privileged
    assert sandbox_security(pod(ephemeralContainers=privileged)).privileged
    assert not sandbox_security(pod()).privileged


def test_an_unknown_groups_policy_is_refused() -> None:
    """A newer policy must not count as Merge."""
    each = pod(securityContext={"supplementalGroupsPolicy": "Loose"})
    with pytest.raises(SecurityConfigError, match="unsupported supplementalGroupsPolicy: Loose"):
        sandbox_security(each)
    with pytest.raises(SecurityConfigError):
        security(each)


@pytest.mark.parametrize(
    ("context", "uid", "username", "text"),
    [
        ({"runAsUser": 0}, None, "", "container's runAsUser breaks non-root policy"),
        ({}, 0, "", "container has runAsNonRoot and image will run as root"),
        ({}, None, "app", "image has non-numeric user (app), cannot verify user is non-root"),
        ({}, 5, "", None),
        ({"runAsUser": 5}, 0, "", None),
        # Such an image says nothing, and runs as root then.
        ({}, None, "", "container has runAsNonRoot and image will run as root"),
        ({}, 1 << 31, "", "image has an invalid user id (2147483648). (Must be 1-(2147483647))"),
    ],
)
def test_run_as_non_root(context: Json, uid: int | None, username: str, text: str | None) -> None:
    """The kubelet's checks and its words."""
    each = pod(context, securityContext={"runAsNonRoot": True})
    if text is None:
        security(each, image_uid=uid, image_username=username)
        return
    with pytest.raises(SecurityConfigError) as refused:
        security(each, image_uid=uid, image_username=username)
    assert text in str(refused.value)
    assert '(pod: "p_ns(u)", container: c)' in str(refused.value)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"type": "RuntimeDefault"}, SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)),
        ({"type": "Unconfined"}, SecurityProfile(type=ProfileType.UNCONFINED)),
        (
            {"type": "Localhost", "localhostProfile": "a/b.json"},
            SecurityProfile(type=ProfileType.LOCALHOST, localhost_ref="/seccomp/a/b.json"),
        ),
    ],
)
def test_seccomp(profile: Json, expected: SecurityProfile) -> None:
    """From the container, else from the pod."""
    assert security(pod({"seccompProfile": profile})).seccomp == expected
    assert security(pod(securityContext={"seccompProfile": profile})).seccomp == expected


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", ".."])
def test_a_profile_outside_its_folder_is_refused(name: str) -> None:
    """The edge opens it as root."""
    profile = {"type": "Localhost", "localhostProfile": name}
    with pytest.raises(SecurityConfigError, match="must be a relative path"):
        security(pod({"seccompProfile": profile}))


def test_a_profile_without_its_name_is_refused() -> None:
    """A container must not run unconfined because of a missing name."""
    for field in ("seccompProfile", "appArmorProfile"):
        with pytest.raises(SecurityConfigError):
            security(pod({field: {"type": "Localhost"}}))


@pytest.mark.parametrize(
    ("legacy", "expected"),
    [
        ("runtime/default", SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)),
        ("unconfined", SecurityProfile(type=ProfileType.UNCONFINED)),
        ("localhost/p", SecurityProfile(type=ProfileType.LOCALHOST, localhost_ref="p")),
        ("", None),
        ("nonsense", None),
    ],
)
def test_apparmor_from_the_old_annotation(legacy: str, expected: SecurityProfile | None) -> None:
    """Pods of old still carry it; the field wins over it."""
    annotations = {"container.apparmor.security.beta.kubernetes.io/c": legacy}
    assert security(pod(annotations=annotations)).apparmor == expected
    default = SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)
    both = pod({"appArmorProfile": {"type": "RuntimeDefault"}}, annotations=annotations)
    assert security(both).apparmor == default
    # The pod's field comes last.
    outer = {"appArmorProfile": {"type": "RuntimeDefault"}}
    found = security(pod(annotations=annotations, securityContext=outer)).apparmor
    assert found == (expected or default)

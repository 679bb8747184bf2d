"""Our values as CRI's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_config import (
        ContainerConfig,
        ContainerSecurity,
        IDRange,
        Mount,
        MountedImage,
        NamespaceOptions,
        RegistryAuth,
        SandboxConfig,
        SandboxSecurity,
        SecurityProfile,
        SELinuxOptions,
    )
    from edge_runtime.objects.runtime_status import ContainerResources


def encode_sandbox_config(config: SandboxConfig) -> pb.PodSandboxConfig:
    """Encode a sandbox to run."""
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(
            name=config.name, namespace=config.namespace, uid=config.uid, attempt=config.attempt
        ),
        hostname=config.hostname,
        log_directory=config.log_directory,
        dns_config=None
        if config.dns is None
        else pb.DNSConfig(
            servers=config.dns.servers, searches=config.dns.searches, options=config.dns.options
        ),
        port_mappings=[
            pb.PortMapping(
                protocol=pb.Protocol.Value(mapping.protocol),
                container_port=mapping.container_port,
                host_port=mapping.host_port,
                host_ip=mapping.host_ip,
            )
            for mapping in config.port_mappings
        ],
        labels=config.labels,
        annotations=config.annotations,
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent,
            security_context=_sandbox_security(config.security),
            sysctls=config.sysctls,
            resources=None if config.resources is None else encode_resources(config.resources),
            overhead=None if config.overhead is None else encode_resources(config.overhead),
        ),
    )


def encode_container_config(config: ContainerConfig) -> pb.ContainerConfig:
    """Encode a container to create."""
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=config.name, attempt=config.attempt),
        image=pb.ImageSpec(
            image=config.image_ref, user_specified_image=config.user_specified_image
        ),
        command=config.command,
        args=config.args,
        working_dir=config.working_dir,
        # Bytes, because a value need not be UTF-8; surrogates carry such bytes through str.
        envs=[
            pb.KeyValue(key=key, value=value.encode("utf-8", "surrogateescape"))
            for key, value in config.env
        ],
        mounts=[_mount(mount, config.security.namespaces.users) for mount in config.mounts],
        labels=config.labels,
        annotations=config.annotations,
        log_path=config.log_path,
        stdin=config.stdin,
        stdin_once=config.stdin_once,
        tty=config.tty,
        linux=pb.LinuxContainerConfig(
            resources=encode_resources(config.resources),
            security_context=_container_security(config.security),
        ),
        stop_signal=_signal(config.stop_signal),
    )


def encode_resources(resources: ContainerResources) -> pb.LinuxContainerResources:
    """Encode what the kernel shall enforce."""
    return pb.LinuxContainerResources(
        cpu_period=resources.cpu_period_us,
        cpu_quota=resources.cpu_quota_us,
        cpu_shares=resources.cpu_shares,
        memory_limit_in_bytes=resources.memory_limit_bytes,
        memory_swap_limit_in_bytes=resources.memory_swap_limit_bytes,
        oom_score_adj=resources.oom_score_adj,
        cpuset_cpus=resources.cpuset_cpus,
        cpuset_mems=resources.cpuset_mems,
        hugepage_limits=[
            pb.HugepageLimit(page_size=size, limit=limit)
            for size, limit in resources.hugepage_limits
        ],
        unified=resources.unified,
    )


def encode_auth(auth: RegistryAuth) -> pb.AuthConfig:
    """Encode the credentials of one pull."""
    return pb.AuthConfig(
        username=auth.username,
        password=auth.password,
        auth=auth.auth,
        server_address=auth.server_address,
        identity_token=auth.identity_token,
        registry_token=auth.registry_token,
    )


def _sandbox_security(security: SandboxSecurity) -> pb.LinuxSandboxSecurityContext:
    return pb.LinuxSandboxSecurityContext(
        namespace_options=_namespaces(security.namespaces),
        selinux_options=_selinux(security.selinux),
        run_as_user=_int64(security.run_as_user),
        run_as_group=_int64(security.run_as_group),
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=_groups_policy(strict=security.supplemental_groups_strict),
        privileged=security.privileged,
        seccomp=_profile(security.seccomp),
    )


def _container_security(security: ContainerSecurity) -> pb.LinuxContainerSecurityContext:
    return pb.LinuxContainerSecurityContext(
        capabilities=_capabilities(security),
        privileged=security.privileged,
        namespace_options=_namespaces(security.namespaces),
        selinux_options=_selinux(security.selinux),
        run_as_user=_int64(security.run_as_user),
        run_as_group=_int64(security.run_as_group),
        run_as_username=security.run_as_username,
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=_groups_policy(strict=security.supplemental_groups_strict),
        no_new_privs=security.no_new_privs,
        masked_paths=security.masked_paths,
        readonly_paths=security.readonly_paths,
        seccomp=_profile(security.seccomp),
        apparmor=None if security.apparmor is None else _profile(security.apparmor),
        # Runtimes of before CRI's profiles read only this.
        apparmor_profile="" if security.apparmor is None else _old_apparmor(security.apparmor),
    )


def _capabilities(security: ContainerSecurity) -> pb.Capability | None:
    if not security.add_capabilities and not security.drop_capabilities:
        return None
    return pb.Capability(
        add_capabilities=security.add_capabilities, drop_capabilities=security.drop_capabilities
    )


def _namespaces(namespaces: NamespaceOptions) -> pb.NamespaceOption:
    return pb.NamespaceOption(
        network=pb.NamespaceMode.Value(namespaces.network.name),
        pid=pb.NamespaceMode.Value(namespaces.pid.name),
        ipc=pb.NamespaceMode.Value(namespaces.ipc.name),
        target_id=namespaces.target_id,
        userns_options=pb.UserNamespace(
            mode=pb.NODE if namespaces.users is None else pb.POD,
            uids=_id_mappings(namespaces.users),
            gids=_id_mappings(namespaces.users),
        ),
    )


def _id_mappings(users: IDRange | None) -> list[pb.IDMapping]:
    if users is None:
        return []
    return [pb.IDMapping(host_id=users.host_id, container_id=0, length=users.length)]


def _profile(profile: SecurityProfile) -> pb.SecurityProfile:
    names = {
        "RUNTIME_DEFAULT": pb.SecurityProfile.RuntimeDefault,
        "UNCONFINED": pb.SecurityProfile.Unconfined,
        "LOCALHOST": pb.SecurityProfile.Localhost,
    }
    return pb.SecurityProfile(
        profile_type=names[profile.type.name], localhost_ref=profile.localhost_ref
    )


def _old_apparmor(profile: SecurityProfile) -> str:
    match profile.type.name:
        case "LOCALHOST":
            return f"localhost/{profile.localhost_ref}"
        case "UNCONFINED":
            return "unconfined"
        case _:
            return "runtime/default"


def _groups_policy(*, strict: bool) -> pb.SupplementalGroupsPolicy.ValueType:
    return pb.Strict if strict else pb.Merge


def _mount(mount: Mount, users: IDRange | None) -> pb.Mount:
    return pb.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.readonly,
        recursive_read_only=mount.recursive_read_only,
        selinux_relabel=mount.selinux_relabel,
        propagation=pb.MountPropagation.Value(f"PROPAGATION_{mount.propagation.name}"),
        uidMappings=_id_mappings(users),
        gidMappings=_id_mappings(users),
        image=None if mount.image is None else _mounted_image(mount.image),
        image_sub_path="" if mount.image is None else mount.image.sub_path,
    )


def _mounted_image(image: MountedImage) -> pb.ImageSpec:
    return pb.ImageSpec(
        image=image.ref,
        user_specified_image=image.user_specified_image,
        runtime_handler=image.runtime_handler,
    )


def _selinux(options: SELinuxOptions | None) -> pb.SELinuxOption | None:
    if options is None:
        return None
    return pb.SELinuxOption(
        user=options.user, role=options.role, type=options.type, level=options.level
    )


def _int64(value: int | None) -> pb.Int64Value | None:
    return None if value is None else pb.Int64Value(value=value)


def _signal(name: str) -> pb.Signal.ValueType:
    if not name:
        return pb.RUNTIME_DEFAULT
    # The API writes SIGRTMIN+1, CRI SIGRTMINPLUS1.
    return pb.Signal.Value(name.replace("+", "PLUS").replace("-", "MINUS"))

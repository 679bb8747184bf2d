"""What the fake container runtime holds and does, call by call."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cri_protos import api_pb2 as pb

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

DEFAULT_STOP_EXIT_CODE = 137


@dataclass(slots=True)
class FakeContainer:
    """One container: what was asked for and what became of it."""

    status: pb.ContainerStatus
    sandbox_id: str
    config: pb.ContainerConfig
    log_path: Path
    stop_exit_code: int = DEFAULT_STOP_EXIT_CODE
    stop_timeouts: list[int] = field(default_factory=list)


class FakeCriCalls:
    """What a CRI runtime holds and does; ``FakeCri`` serves it."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, pb.PodSandboxStatus] = {}
        self.sandbox_configs: dict[str, pb.PodSandboxConfig] = {}
        self.containers: dict[str, FakeContainer] = {}
        self.images: dict[str, pb.Image] = {}
        self.pullable: dict[str, pb.Image] = {}
        self.conditions = {
            "RuntimeReady": pb.RuntimeCondition(type="RuntimeReady", status=True),
            "NetworkReady": pb.RuntimeCondition(type="NetworkReady", status=True),
        }
        self.runtime_handlers: list[pb.RuntimeHandler] = []
        self.streaming_url = "http://127.0.0.1:1"
        self.exec: Callable[[pb.ExecSyncRequest], Awaitable[pb.ExecSyncResponse]] = _no_exec
        self._listeners: list[asyncio.Queue[pb.ContainerEventResponse]] = []
        self._ids = itertools.count(1)

    def exit_container(self, container_id: str, exit_code: int, *, reason: str = "") -> None:
        """Let a running container end."""
        status = self.containers[container_id].status
        status.state = pb.CONTAINER_EXITED
        status.exit_code = exit_code
        status.finished_at = time.time_ns()
        status.reason = reason or ("Completed" if exit_code == 0 else "Error")
        self._tell(container_id, pb.CONTAINER_STOPPED_EVENT)

    def stop_sandbox(self, sandbox_id: str) -> None:
        """Let a sandbox die with its containers, as after a reboot."""
        self.sandboxes[sandbox_id].state = pb.SANDBOX_NOTREADY
        self.sandboxes[sandbox_id].network.Clear()
        for container_id, container in self.containers.items():
            is_running = container.status.state == pb.CONTAINER_RUNNING
            if container.sandbox_id == sandbox_id and is_running:
                self.exit_container(container_id, container.stop_exit_code)
        self._tell(sandbox_id, pb.CONTAINER_STOPPED_EVENT)

    def _tell(self, container_id: str, event_type: pb.ContainerEventType.ValueType) -> None:
        container = self.containers.get(container_id)
        sandbox = self.sandboxes.get(container.sandbox_id if container else container_id)
        for queue in self._listeners:
            queue.put_nowait(
                pb.ContainerEventResponse(
                    container_id=container_id,
                    container_event_type=event_type,
                    created_at=time.time_ns(),
                    pod_sandbox_status=sandbox,
                )
            )

    def _new_id(self) -> str:
        return f"{next(self._ids):064x}"

    async def _Version(self, request: pb.VersionRequest) -> pb.VersionResponse:
        return pb.VersionResponse(
            version=request.version,
            runtime_name="containerd",
            runtime_version="1.6.20",
            runtime_api_version="v1",
        )

    async def _Status(self, _: pb.StatusRequest) -> pb.StatusResponse:
        return pb.StatusResponse(
            status=pb.RuntimeStatus(conditions=self.conditions.values()),
            runtime_handlers=self.runtime_handlers,
        )

    async def _RunPodSandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        config, sandbox_id = request.config, self._new_id()
        if any(each.metadata == config.metadata for each in self.sandboxes.values()):
            raise ValueError(f"failed to reserve sandbox name {config.metadata.name!r}")
        options = config.linux.security_context.namespace_options
        network = pb.PodSandboxNetworkStatus()
        if options.network == pb.POD:
            network.ip = f"10.88.0.{int(sandbox_id, 16) % 250 + 2}"
        self.sandboxes[sandbox_id] = pb.PodSandboxStatus(
            id=sandbox_id,
            metadata=config.metadata,
            state=pb.SANDBOX_READY,
            created_at=time.time_ns(),
            network=network,
            linux=pb.LinuxPodSandboxStatus(namespaces=pb.Namespace(options=options)),
            labels=config.labels,
            annotations=config.annotations,
            runtime_handler=request.runtime_handler,
        )
        self.sandbox_configs[sandbox_id] = config
        self._tell(sandbox_id, pb.CONTAINER_STARTED_EVENT)
        return pb.RunPodSandboxResponse(pod_sandbox_id=sandbox_id)

    async def _StopPodSandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        # containerd 1.6 answers NotFound here, although CRI wants success.
        self._sandbox(request.pod_sandbox_id)
        self.stop_sandbox(request.pod_sandbox_id)
        return pb.StopPodSandboxResponse()

    async def _RemovePodSandbox(
        self, request: pb.RemovePodSandboxRequest
    ) -> pb.RemovePodSandboxResponse:
        sandbox_id = request.pod_sandbox_id
        if self.sandboxes.pop(sandbox_id, None) is not None:
            for container_id, container in list(self.containers.items()):
                if container.sandbox_id == sandbox_id:
                    del self.containers[container_id]
            self._tell(sandbox_id, pb.CONTAINER_DELETED_EVENT)
        return pb.RemovePodSandboxResponse()

    async def _PodSandboxStatus(
        self, request: pb.PodSandboxStatusRequest
    ) -> pb.PodSandboxStatusResponse:
        return pb.PodSandboxStatusResponse(status=self._sandbox(request.pod_sandbox_id))

    async def _ListPodSandbox(self, request: pb.ListPodSandboxRequest) -> pb.ListPodSandboxResponse:
        return pb.ListPodSandboxResponse(
            items=[
                pb.PodSandbox(
                    id=each.id,
                    metadata=each.metadata,
                    state=each.state,
                    created_at=each.created_at,
                    labels=each.labels,
                    annotations=each.annotations,
                    runtime_handler=each.runtime_handler,
                )
                for each in self.sandboxes.values()
                if _matches(each.labels, request.filter.label_selector)
            ]
        )

    async def _CreateContainer(
        self, request: pb.CreateContainerRequest
    ) -> pb.CreateContainerResponse:
        config, container_id = request.config, self._new_id()
        self._sandbox(request.pod_sandbox_id)
        if not any(config.image.image in (name, each.id) for name, each in self.images.items()):
            raise KeyError(config.image.image)
        log_path = Path(request.sandbox_config.log_directory) / config.log_path
        self.containers[container_id] = FakeContainer(
            status=pb.ContainerStatus(
                id=container_id,
                metadata=config.metadata,
                state=pb.CONTAINER_CREATED,
                created_at=time.time_ns(),
                image=config.image,
                image_ref=config.image.image,
                labels=config.labels,
                annotations=config.annotations,
                log_path=str(log_path),
            ),
            sandbox_id=request.pod_sandbox_id,
            config=config,
            log_path=log_path,
        )
        self._tell(container_id, pb.CONTAINER_CREATED_EVENT)
        return pb.CreateContainerResponse(container_id=container_id)

    async def _StartContainer(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        container = self._container(request.container_id)
        if container.status.state != pb.CONTAINER_CREATED:
            raise ValueError("container is not in the created state")
        container.log_path.parent.mkdir(parents=True, exist_ok=True)
        container.log_path.touch()
        container.status.state = pb.CONTAINER_RUNNING
        container.status.started_at = time.time_ns()
        self._tell(request.container_id, pb.CONTAINER_STARTED_EVENT)
        return pb.StartContainerResponse()

    async def _StopContainer(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        container = self._container(request.container_id)
        container.stop_timeouts.append(request.timeout)
        if container.status.state == pb.CONTAINER_RUNNING:
            self.exit_container(request.container_id, container.stop_exit_code)
        return pb.StopContainerResponse()

    async def _RemoveContainer(
        self, request: pb.RemoveContainerRequest
    ) -> pb.RemoveContainerResponse:
        if self.containers.pop(request.container_id, None) is not None:
            self._tell(request.container_id, pb.CONTAINER_DELETED_EVENT)
        return pb.RemoveContainerResponse()

    async def _ListContainers(self, request: pb.ListContainersRequest) -> pb.ListContainersResponse:
        return pb.ListContainersResponse(
            containers=[
                pb.Container(
                    id=each.status.id,
                    pod_sandbox_id=each.sandbox_id,
                    metadata=each.status.metadata,
                    image=each.status.image,
                    image_ref=each.status.image_ref,
                    state=each.status.state,
                    created_at=each.status.created_at,
                    labels=each.status.labels,
                    annotations=each.status.annotations,
                )
                for each in self.containers.values()
                if _matches(each.status.labels, request.filter.label_selector)
                and request.filter.pod_sandbox_id in ("", each.sandbox_id)
            ]
        )

    async def _ContainerStatus(
        self, request: pb.ContainerStatusRequest
    ) -> pb.ContainerStatusResponse:
        return pb.ContainerStatusResponse(status=self._container(request.container_id).status)

    async def _ReopenContainerLog(
        self, request: pb.ReopenContainerLogRequest
    ) -> pb.ReopenContainerLogResponse:
        self._container(request.container_id).log_path.touch()
        return pb.ReopenContainerLogResponse()

    async def _UpdateContainerResources(
        self, request: pb.UpdateContainerResourcesRequest
    ) -> pb.UpdateContainerResourcesResponse:
        self._container(request.container_id).config.linux.resources.CopyFrom(request.linux)
        return pb.UpdateContainerResourcesResponse()

    async def _ExecSync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        self._container(request.container_id)
        return await self.exec(request)

    async def _Exec(self, request: pb.ExecRequest) -> pb.ExecResponse:
        self._container(request.container_id)
        return pb.ExecResponse(url=f"{self.streaming_url}/exec/token")

    async def _Attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        self._container(request.container_id)
        return pb.AttachResponse(url=f"{self.streaming_url}/attach/token")

    async def _PortForward(self, request: pb.PortForwardRequest) -> pb.PortForwardResponse:
        self._sandbox(request.pod_sandbox_id)
        return pb.PortForwardResponse(url=f"{self.streaming_url}/portforward/token")

    async def _ListImages(self, _: pb.ListImagesRequest) -> pb.ListImagesResponse:
        return pb.ListImagesResponse(images=self.images.values())

    async def _ImageStatus(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        name = request.image.image
        found = self.images.get(name) or next(
            (image for image in self.images.values() if image.id == name), None
        )
        return pb.ImageStatusResponse(image=found)

    async def _PullImage(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        name = request.image.image
        if name not in self.pullable:
            raise ValueError(f'failed to pull and unpack image "{name}": not found')
        self.images[name] = self.pullable[name]
        return pb.PullImageResponse(image_ref=self.images[name].id)

    async def _RemoveImage(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        # Of an id, all names; of a name, the name.
        gone = [
            name for name, image in self.images.items() if request.image.image in (name, image.id)
        ]
        for name in gone:
            del self.images[name]
        return pb.RemoveImageResponse()

    async def _ImageFsInfo(self, _: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        usage = pb.FilesystemUsage(
            timestamp=time.time_ns(),
            fs_id=pb.FilesystemIdentifier(mountpoint="/"),
            used_bytes=pb.UInt64Value(value=sum(image.size for image in self.images.values())),
            inodes_used=pb.UInt64Value(value=len(self.images)),
        )
        return pb.ImageFsInfoResponse(image_filesystems=[usage])

    async def _ContainerStats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        return pb.ContainerStatsResponse(stats=_stats(self._container(request.container_id)))

    async def _ListContainerStats(
        self, request: pb.ListContainerStatsRequest
    ) -> pb.ListContainerStatsResponse:
        return pb.ListContainerStatsResponse(
            stats=[
                _stats(each)
                for each in self.containers.values()
                if _matches(each.status.labels, request.filter.label_selector)
            ]
        )

    async def _ListPodSandboxStats(
        self, _: pb.ListPodSandboxStatsRequest
    ) -> pb.ListPodSandboxStatsResponse:
        return pb.ListPodSandboxStatsResponse(
            stats=[
                pb.PodSandboxStats(
                    attributes=pb.PodSandboxAttributes(id=each.id, metadata=each.metadata),
                    linux=pb.LinuxPodSandboxStats(
                        cpu=pb.CpuUsage(
                            timestamp=1, usage_core_nano_seconds=pb.UInt64Value(value=7)
                        ),
                        network=pb.NetworkUsage(
                            timestamp=1,
                            default_interface=pb.NetworkInterfaceUsage(
                                name="eth0", rx_bytes=pb.UInt64Value(value=3)
                            ),
                        ),
                        process=pb.ProcessUsage(process_count=pb.UInt64Value(value=1)),
                        containers=[
                            _stats(container)
                            for container in self.containers.values()
                            if container.sandbox_id == each.id
                        ],
                    ),
                )
                for each in self.sandboxes.values()
            ]
        )

    def _sandbox(self, sandbox_id: str) -> pb.PodSandboxStatus:
        return self.sandboxes[sandbox_id]

    def _container(self, container_id: str) -> FakeContainer:
        return self.containers[container_id]


def _matches(labels: Any, selector: Any) -> bool:  # noqa: ANN401  # proto maps
    return all(labels.get(key) == value for key, value in selector.items())


def _stats(container: FakeContainer) -> pb.ContainerStats:
    return pb.ContainerStats(
        attributes=pb.ContainerAttributes(
            id=container.status.id,
            metadata=container.status.metadata,
            labels=container.status.labels,
        ),
        cpu=pb.CpuUsage(timestamp=1, usage_core_nano_seconds=pb.UInt64Value(value=5)),
        memory=pb.MemoryUsage(timestamp=1, working_set_bytes=pb.UInt64Value(value=4096)),
    )


async def _no_exec(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
    return pb.ExecSyncResponse()

"""The image half of CRI."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.runtime.containerd_content import ContainerdContent
from edge_runtime.runtime.cri_channel import CHANGE_TIMEOUT_S, READ_TIMEOUT_S, CriCalls
from edge_runtime.runtime.cri_decoding import decode_image
from edge_runtime.runtime.cri_encoding import encode_auth, encode_sandbox_config
from edge_runtime.runtime.errors import (
    DeadlineExceeded,
    NotFound,
    RuntimeServiceError,
    Unimplemented,
)
from edge_runtime.runtime.stats_decoding import decode_image_fs_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.runtime_config import RegistryAuth, SandboxConfig
    from edge_runtime.objects.runtime_info import RuntimeImage
    from edge_runtime.objects.runtime_stats import ImageFsInfo

# A kubelet sets no deadline on pulls. One ends that did not download anything for so long: that
# something is unpacked shows nowhere, and takes long on slow disks. containerd keeps finished
# layers for the next attempt.
PULL_STALL_S = 3600.0
PULL_LOOK_S = 60.0

logger = logging.getLogger(__name__)


class CriImages(CriCalls):
    """One method per call of CRI's ImageService; ``CriClient`` is one of these.

    All raise RuntimeServiceError.
    """

    async def list_images(self) -> tuple[RuntimeImage, ...]:
        """Return all images that the runtime has."""
        response = await self._image_call(
            "ListImages",
            pb.ListImagesRequest(),
            pb.ListImagesResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return tuple(decode_image(image) for image in response.images)

    async def image_status(self, image: str) -> RuntimeImage | None:
        """Return the image of that name, digest or id; None when the runtime does not have it."""
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=image))
        try:
            response = await self._image_call(
                "ImageStatus", request, pb.ImageStatusResponse, timeout_s=READ_TIMEOUT_S
            )
        except NotFound:
            return None
        return decode_image(response.image) if response.HasField("image") else None

    async def pull_image(
        self,
        image: str,
        *,
        auth: RegistryAuth | None = None,
        sandbox: SandboxConfig | None = None,
        stall_s: float = PULL_STALL_S,
        look_s: float = PULL_LOOK_S,
    ) -> str:
        """Fetch an image and return what it resolved to.

        It may take as long as it goes on: a pull ends with DeadlineExceeded when the runtime's
        content store did not change for `stall_s`, looked at every `look_s`. Of a runtime that is
        no containerd nothing is known of that, and `stall_s` is all that a pull gets.

        Cancelling stops the pull; layers that are complete stay.

        Source: kubernetes staging/src/k8s.io/cri-client/pkg/remote_image.go ``PullImage`` (no
        deadline).
        """
        request = pb.PullImageRequest(
            image=pb.ImageSpec(image=image),
            auth=None if auth is None else encode_auth(auth),
            sandbox_config=None if sandbox is None else encode_sandbox_config(sandbox),
        )
        try:
            async with asyncio.timeout(stall_s) as deadline:
                return await self._pull(request, deadline, stall_s=stall_s, look_s=look_s)
        except TimeoutError as exc:
            message = f"nothing was downloaded for {stall_s:g} s"
            raise DeadlineExceeded(method="PullImage", message=message) from exc

    async def _pull(
        self, request: pb.PullImageRequest, deadline: asyncio.Timeout, **times_s: float
    ) -> str:
        failure: RuntimeServiceError | None = None
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._put_off(deadline, **times_s))
            try:
                response = await self._image_call(
                    "PullImage", request, pb.PullImageResponse, timeout_s=None
                )
            except RuntimeServiceError as exc:
                # Not out of the group, which would wrap it.
                failure = exc
            finally:
                watch.cancel()
        if failure is not None:
            raise failure
        return response.image_ref

    async def _put_off(self, deadline: asyncio.Timeout, *, stall_s: float, look_s: float) -> None:
        """Put a pull's deadline off whenever something was downloaded since the look before."""
        content, loop = ContainerdContent(self._channel), asyncio.get_running_loop()
        before: Mapping[str, int] | None = None
        while True:
            await asyncio.sleep(look_s)
            try:
                now = await content.ingests()
            except Unimplemented:
                return
            except RuntimeServiceError as exc:
                logger.debug("the progress of a pull is not known", extra={"error": str(exc)})
                continue
            if before is not None and now != before:
                deadline.reschedule(loop.time() + stall_s)
            before = now

    async def remove_image(self, image: str) -> None:
        """Remove an image with all its names; one that is not there is no error."""
        request = pb.RemoveImageRequest(image=pb.ImageSpec(image=image))
        await self._image_call(
            "RemoveImage", request, pb.RemoveImageResponse, timeout_s=CHANGE_TIMEOUT_S
        )

    async def image_fs_info(self) -> ImageFsInfo:
        """Return the use of the filesystems of images and containers."""
        response = await self._image_call(
            "ImageFsInfo",
            pb.ImageFsInfoRequest(),
            pb.ImageFsInfoResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return decode_image_fs_info(response)

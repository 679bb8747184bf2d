"""The image half of CRI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.runtime.cri_channel import CHANGE_TIMEOUT_S, READ_TIMEOUT_S, CriCalls
from edge_runtime.runtime.cri_decoding import decode_image
from edge_runtime.runtime.cri_encoding import encode_auth, encode_sandbox_config
from edge_runtime.runtime.errors import NotFound
from edge_runtime.runtime.stats_decoding import decode_image_fs_info

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_config import RegistryAuth, SandboxConfig
    from edge_runtime.objects.runtime_info import RuntimeImage
    from edge_runtime.objects.runtime_stats import ImageFsInfo

# The kubelet sets no deadline on pulls. An hour ends those that stall for good: at 64 KB/s it is
# enough for 230 MB, and containerd keeps finished layers for the next attempt.
PULL_TIMEOUT_S = 3600.0


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
        timeout_s: float = PULL_TIMEOUT_S,
    ) -> str:
        """Fetch an image and return what it resolved to.

        Cancelling stops the pull; layers that are complete stay.
        """
        request = pb.PullImageRequest(
            image=pb.ImageSpec(image=image),
            auth=None if auth is None else encode_auth(auth),
            sandbox_config=None if sandbox is None else encode_sandbox_config(sandbox),
        )
        response = await self._image_call(
            "PullImage", request, pb.PullImageResponse, timeout_s=timeout_s
        )
        return response.image_ref

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

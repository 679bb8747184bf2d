"""The site's Secrets: read, compare-and-swap, watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider.kube.client import KubeApi

# They come empty with the manifests; RBAC names each of them.
AUTHORITY_SECRET: Final = "edgelet-site-ca"  # noqa: S105 - names
TOKENS_SECRET: Final = "edgelet-join-tokens"  # noqa: S105
CERTIFICATES_SECRET: Final = "edgelet-site-certificates"  # noqa: S105

SecretData = dict[str, bytes]
Result = TypeVar("Result")


class SecretStore:
    """The Secrets of one namespace."""

    def __init__(self, api: KubeApi, *, namespace: str) -> None:
        """Act as ``api``'s identity."""
        raise NotImplementedError

    async def read(self, name: str) -> SecretData:
        """Read a Secret's data, decoded.

        Raises:
            SecretMissing: It does not exist.
            SecretUnavailable: The API server cannot be asked.
        """
        raise NotImplementedError

    async def update(
        self,
        name: str,
        change: Callable[[Mapping[str, bytes]], tuple[SecretData | None, Result]],
    ) -> Result:
        """Change a Secret by compare-and-swap.

        Args:
            name: Of the Secret.
            change: From its data to (the new data, or None to leave it as it is; what is to be
                returned). Called again with what is there after a conflict, so it must decide
                anew each time; what it raises passes through and nothing is written.

        Raises:
            SecretMissing: It does not exist.
            SecretUnavailable: The API server cannot be asked, or conflicts went on.
        """
        raise NotImplementedError

"""Whose credentials opened which image: another pod cannot use it unasked. Pure.

Source: kubernetes pkg/kubelet/apis/config/types.go ``ImagePulledRecord``; KEP-2535.
"""

from __future__ import annotations

import msgspec


class PullSecret(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A Secret whose credentials opened an image.

    Attributes:
        credential_hash: Of the credentials themselves; never the credentials.
    """

    namespace: str
    name: str
    uid: str
    credential_hash: str

    @property
    def coordinates(self) -> tuple[str, str, str]:
        """Which Secret it is, whatever it holds now."""
        return self.namespace, self.name, self.uid


class PullCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who may use an image under one name.

    Attributes:
        for_all_pods: It was pulled without a pod's credentials.
        secrets: Else, the Secrets that opened it; sorted.
    """

    for_all_pods: bool = False
    secrets: tuple[PullSecret, ...] = ()


class PulledRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the pulls of one image.

    Attributes:
        image_ref: The runtime's own id of the image.
        credentials: By name without tag and digest. A name that is not here was never pulled.
        updated_at_s: Seconds since the epoch.
    """

    image_ref: str
    credentials: dict[str, PullCredentials]
    updated_at_s: float

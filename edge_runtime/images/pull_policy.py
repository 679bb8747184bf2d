"""Whether to pull an image, and how long to wait after a failure; pure.

Source: kubernetes pkg/kubelet/images/image_manager.go, client-go util/flowcontrol/backoff.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

# Source: kubernetes pkg/kubelet/kubelet.go ``imageBackOffPeriod``, ``MaxImageBackOff``.
FIRST_BACKOFF_S = 10.0
MAX_BACKOFF_S = 300.0
_REGISTRY_UNAVAILABLE = "RegistryUnavailable"
_SIGNATURE_INVALID = "SignatureValidationFailed"


class PullDecision(enum.Enum):
    """What to do for a container's image."""

    USE = "use"
    PULL = "pull"
    REFUSE = "refuse"


def decide_pull(policy: str, *, is_present: bool) -> PullDecision:
    """Decide from ``imagePullPolicy`` and whether the runtime has the image."""
    if policy == "Always":
        return PullDecision.PULL
    if is_present:
        return PullDecision.USE
    return PullDecision.REFUSE if policy == "Never" else PullDecision.PULL


def classify_pull_error(image: str, text: str) -> tuple[str, str]:
    """Return the waiting reason and message for what the runtime said of a failed pull."""
    if text.startswith(_REGISTRY_UNAVAILABLE):
        rest = text.removeprefix(_REGISTRY_UNAVAILABLE)
        message = f"image pull failed for {image} because the registry is unavailable{rest}"
        return _REGISTRY_UNAVAILABLE, message
    if text.startswith(_SIGNATURE_INVALID):
        rest = text.removeprefix(_SIGNATURE_INVALID)
        message = f"image pull failed for {image} because the signature validation failed{rest}"
        return _SIGNATURE_INVALID, message
    return "ErrImagePull", text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    at: float
    backoff_s: float
    text: str


class PullBackoff:
    """Waits after failed pulls: 10 s, doubled with each failure up to 300 s, per pod and image.

    A pull that failed more than twice 300 s ago counts as none. Times are a monotonic clock's, in
    seconds. What is held is bounded by the pods and images that failed within ten minutes.
    """

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], _Failure] = {}

    def failed(self, pod_uid: str, image: str, *, text: str, now: float) -> None:
        """Record a failure; ``text`` is what to tell while the back-off lasts."""
        self._drop_expired(now)
        last = self._failures.get((pod_uid, image))
        backoff_s = FIRST_BACKOFF_S if last is None else min(last.backoff_s * 2, MAX_BACKOFF_S)
        self._failures[pod_uid, image] = _Failure(at=now, backoff_s=backoff_s, text=text)

    def waiting(self, pod_uid: str, image: str, *, now: float) -> str | None:
        """Return what to tell while the image must not be pulled, None when it may be."""
        failure = self._failures.get((pod_uid, image))
        if failure is None or now - failure.at >= failure.backoff_s:
            return None
        return failure.text

    def forget(self, pod_uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        self._failures = {key: each for key, each in self._failures.items() if key[0] != pod_uid}

    def _drop_expired(self, now: float) -> None:
        self._failures = {
            key: each for key, each in self._failures.items() if now - each.at <= 2 * MAX_BACKOFF_S
        }

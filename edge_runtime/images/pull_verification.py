"""Whether a pod may use an image that is there already; pure.

Source: kubernetes pkg/kubelet/images/pullmanager/image_pull_policies.go, image_pull_manager.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.images.image_name import ImageNameError, without_tag
from edge_runtime.objects.pull_records import PullCredentials, PulledRecord, PullSecret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.images.keyring import PullCredential

# Source: image_pull_manager.go ``writeRecordWhileMatchingLimit``.
MAX_SECRETS_ADDED_WHILE_MATCHING = 100


class VerificationPolicy(enum.Enum):
    """Of which images a pod must show that it may have them; the values are KubeletConfiguration's.

    An image counts as preloaded when nothing tells that it was pulled for a pod.
    """

    NEVER_VERIFY = "NeverVerify"
    NEVER_VERIFY_PRELOADED = "NeverVerifyPreloadedImages"
    NEVER_VERIFY_ALLOWLISTED = "NeverVerifyAllowlistedImages"
    ALWAYS_VERIFY = "AlwaysVerify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The policy and its list.

    Attributes:
        allowlist: Names without tag, or ``prefix/*``.
    """

    policy: VerificationPolicy = VerificationPolicy.NEVER_VERIFY_PRELOADED
    allowlist: tuple[str, ...] = ()

    def is_needed(self, image: str, *, was_pulled: bool) -> bool:
        """Return whether a pod must show that it may have an image.

        Args:
            image: As the pod names it.
            was_pulled: Whether it came here for a pod, or may have.
        """
        match self.policy:
            case VerificationPolicy.NEVER_VERIFY:
                return False
            case VerificationPolicy.NEVER_VERIFY_PRELOADED:
                return was_pulled
            case VerificationPolicy.NEVER_VERIFY_ALLOWLISTED:
                return not self._is_listed(image)
            case VerificationPolicy.ALWAYS_VERIFY:
                return True

    def _is_listed(self, image: str) -> bool:
        name = image_key(image)
        return any(
            name.startswith(pattern.removesuffix("*"))
            if pattern.endswith("/*")
            else name == pattern
            for pattern in self.allowlist
        )


def image_key(image: str) -> str:
    """Return the name by which credentials are recorded: as pods write it, without tag."""
    try:
        return without_tag(image)
    except ImageNameError:
        return image


class Access(enum.Enum):
    """Whether a pod may use an image that is there."""

    ALLOWED = "allowed"
    # By a Secret that changed, or was copied, since: worth remembering.
    ALLOWED_ANEW = "allowed anew"
    UNKNOWN = "unknown"


def find_access(
    recorded: PullCredentials | None, own: Sequence[PullCredential]
) -> tuple[Access, PullSecret | None]:
    """Compare what opened an image before with what a pod has.

    Args:
        recorded: What is known of the image under the pod's name for it.
        own: The pod's credentials for it.

    Returns:
        Whether the pod may use it, and the Secret that says so. The same credentials in another
        Secret count, and so does the same Secret with other credentials: it was let in before.
    """
    if recorded is None:
        return Access.UNKNOWN, None
    if recorded.for_all_pods:
        return Access.ALLOWED, None
    may_add = len(recorded.secrets) < MAX_SECRETS_ADDED_WHILE_MATCHING
    for each in map(secret_of, own):
        for known in recorded.secrets:
            is_same_secret = each.coordinates == known.coordinates
            if each.credential_hash == known.credential_hash:
                anew = may_add and not is_same_secret
                return Access.ALLOWED_ANEW if anew else Access.ALLOWED, each
            if is_same_secret and may_add:
                return Access.ALLOWED_ANEW, each
    return Access.UNKNOWN, None


def secret_of(credential: PullCredential) -> PullSecret:
    """Return what is recorded of a credential."""
    source = credential.source
    return PullSecret(
        namespace=source.namespace,
        name=source.name,
        uid=source.uid,
        credential_hash=credential.hash,
    )


def with_credentials(
    record: PulledRecord | None,
    *,
    image: str,
    image_ref: str,
    credentials: PullCredentials | None,
    now_s: float,
) -> PulledRecord | None:
    """Return the record with one more successful pull; None when that changes nothing.

    Args:
        record: What was known.
        image: As the pod names it.
        image_ref: The runtime's id of it.
        credentials: What opened it; None when that was lost, so that all must show theirs.
        now_s: Seconds since the epoch.
    """
    key = image_key(image)
    if record is None:
        known = {} if credentials is None else {key: credentials}
        return PulledRecord(image_ref=image_ref, credentials=known, updated_at_s=now_s)
    if credentials is None or not (credentials.for_all_pods or credentials.secrets):
        return None
    merged = _merge(record.credentials.get(key), credentials)
    if merged == record.credentials.get(key):
        return None
    return msgspec.structs.replace(
        record, credentials={**record.credentials, key: merged}, updated_at_s=now_s
    )


def _merge(old: PullCredentials | None, new: PullCredentials) -> PullCredentials:
    if old is None or new.for_all_pods:
        return new
    if old.for_all_pods:
        return old
    by_secret = {each.coordinates: each for each in (*old.secrets, *new.secrets)}
    return PullCredentials(secrets=tuple(sorted(by_secret.values())))

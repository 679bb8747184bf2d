"""Of which images a pod must show that it may have them."""

from __future__ import annotations

import pytest

from edge_runtime.images.keyring import PullCredential, SecretSource
from edge_runtime.images.pull_verification import (
    MAX_SECRETS_ADDED_WHILE_MATCHING,
    Access,
    Verification,
    VerificationPolicy,
    find_access,
    image_key,
    with_credentials,
)
from edge_runtime.objects.pull_records import PullCredentials, PulledRecord, PullSecret
from edge_runtime.objects.runtime_config import RegistryAuth

ALL = PullCredentials(for_all_pods=True)


def credential(name: str, digest: str, uid: str = "u") -> PullCredential:
    """Return a pod's credential."""
    source = SecretSource(namespace="ns", name=name, uid=uid)
    return PullCredential(auth=RegistryAuth(), source=source, hash=digest)


def recorded(*secrets: tuple[str, str], uid: str = "u") -> PullCredentials:
    """Return what was recorded of these Secrets: name and hash."""
    return PullCredentials(
        secrets=tuple(
            PullSecret(namespace="ns", name=name, uid=uid, credential_hash=digest)
            for name, digest in secrets
        )
    )


@pytest.mark.parametrize(
    ("policy", "pulled", "preloaded"),
    [
        (VerificationPolicy.NEVER_VERIFY, False, False),
        (VerificationPolicy.NEVER_VERIFY_PRELOADED, True, False),
        (VerificationPolicy.NEVER_VERIFY_ALLOWLISTED, True, True),
        (VerificationPolicy.ALWAYS_VERIFY, True, True),
    ],
)
def test_policies(policy: VerificationPolicy, *, pulled: bool, preloaded: bool) -> None:
    """Of an image that came here for a pod, and of one that did not."""
    verification = Verification(policy=policy)
    assert verification.is_needed("x", was_pulled=True) is pulled
    assert verification.is_needed("x", was_pulled=False) is preloaded


def test_allowlist_holds_names_and_prefixes() -> None:
    """Without tag and digest."""
    verification = Verification(
        policy=VerificationPolicy.NEVER_VERIFY_ALLOWLISTED, allowlist=("r.io/a", "r.io/team/*")
    )
    needed = {
        image: verification.is_needed(image, was_pulled=True)
        for image in ("r.io/a:1", "r.io/ab", "r.io/team/x@sha256:" + "a" * 64, "r.io/team")
    }
    assert list(needed.values()) == [False, True, False, True]


@pytest.mark.parametrize(
    ("known", "own", "access"),
    [
        (None, [credential("a", "1")], Access.UNKNOWN),
        (ALL, [], Access.ALLOWED),
        (recorded(("a", "1")), [], Access.UNKNOWN),
        (recorded(("a", "1")), [credential("a", "1")], Access.ALLOWED),
        (recorded(("a", "1")), [credential("b", "1")], Access.ALLOWED_ANEW),
        (recorded(("a", "1")), [credential("a", "2")], Access.ALLOWED_ANEW),
        (recorded(("a", "1")), [credential("a", "2", uid="v")], Access.UNKNOWN),
        (recorded(("a", "1")), [credential("b", "2"), credential("a", "1")], Access.ALLOWED),
    ],
)
def test_access(known: PullCredentials | None, own: list[PullCredential], access: Access) -> None:
    """Equal credentials, or the same Secret."""
    assert find_access(known, own)[0] is access


def test_matching_adds_no_end_of_secrets() -> None:
    """Then equal credentials still count, and are not remembered."""
    many = recorded(*((f"s{n}", "1") for n in range(MAX_SECRETS_ADDED_WHILE_MATCHING)))
    assert find_access(many, [credential("new", "1")])[0] is Access.ALLOWED
    assert find_access(many, [credential("s0", "2")])[0] is Access.UNKNOWN


def test_records_are_merged_by_name_without_tag() -> None:
    """A pull without credentials makes the others pointless; nothing new changes nothing."""

    def add(
        record: PulledRecord | None, image: str, credentials: PullCredentials | None
    ) -> PulledRecord | None:
        return with_credentials(
            record, image=image, image_ref="i", credentials=credentials, now_s=1.0
        )

    record = add(None, "x:1", recorded(("b", "1")))
    assert record is not None
    assert add(record, "x:2", recorded(("b", "1"))) is None
    assert add(record, "x:1", None) is None
    record = add(record, "x@sha256:" + "a" * 64, recorded(("a", "1"), ("b", "2")))
    assert record is not None
    assert record.credentials == {"x": recorded(("a", "1"), ("b", "2"))}
    record = add(record, "x", ALL)
    assert record is not None
    assert record.credentials == {"x": ALL}
    assert add(record, "x", recorded(("c", "1"))) is None
    record = add(record, "y", recorded(("c", "1")))
    assert record is not None
    assert set(record.credentials) == {"x", "y"}
    lost = add(None, "x", None)
    assert lost is not None
    assert lost.credentials == {}


def test_key_of_what_is_no_image() -> None:
    """It is its own."""
    assert image_key("UPPER") == "UPPER"

"""Whose credentials opened an image: what is written down must be read back the same."""

from __future__ import annotations

import msgspec
import pytest

from edge_runtime.objects.pull_records import PullCredentials, PulledRecord, PullSecret


def secret(**fields: str) -> PullSecret:
    """A Secret's use, as it would be for one registry."""
    known = {"namespace": "ns", "name": "n", "uid": "u", "credential_hash": "h"}
    return PullSecret(**{**known, **fields})


def test_coordinates_outlive_what_a_secret_holds() -> None:
    """A rotated password is the same Secret; a recreated Secret of that name is another."""
    assert secret().coordinates == secret(credential_hash="rotated").coordinates
    assert secret().coordinates != secret(uid="recreated").coordinates


def test_secrets_are_sorted_by_where_they_stand() -> None:
    """So that the same use is the same record."""
    unsorted = [secret(namespace="z"), secret(name="z"), secret()]
    assert sorted(unsorted) == [secret(), secret(name="z"), secret(namespace="z")]


@pytest.mark.parametrize(
    "credentials",
    [PullCredentials(), PullCredentials(for_all_pods=True), PullCredentials(secrets=(secret(),))],
)
def test_a_record_survives_the_disk(credentials: PullCredentials) -> None:
    """As JSON, as the store keeps it."""
    record = PulledRecord(image_ref="sha256:1", credentials={"a/b": credentials}, updated_at_s=1.5)
    assert msgspec.json.decode(msgspec.json.encode(record), type=PulledRecord) == record

"""A revocation ends what is open, at once, however many renewals ago it was opened."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from provider.trust.errors import CertificateRefused
from provider.trust.issued_certificates import (
    MAX_REMEMBERED,
    CertificateRecord,
    IssuedCertificates,
    Proof,
    check_may_stay,
    find_issued,
    with_issued,
    with_revoked,
    with_used,
)
from provider.trust.presented_certificate import PresentedCertificate
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.fake_cri import FakeCri
from tests.fakes.site_objects import put_secrets, put_site
from tests.fakes.site_processes import SiteProcesses
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE_S = 2.0


def record(number: int) -> CertificateRecord:
    """Make the record of one certificate."""
    return CertificateRecord(
        serial=f"{number:x}",
        key_hash=f"key {number}",
        not_before=NOW,
        not_after=NOW + timedelta(days=30),
        proof=Proof.RENEWAL,
        issued_at=NOW,
        certificate="",
    )


def presented(number: int) -> PresentedCertificate:
    """Show one certificate."""
    return PresentedCertificate(
        serial=f"{number:x}",
        key_hash=f"key {number}",
        public_key=None,  # type: ignore[arg-type]  # nobody verifies anything with it here
    )


def renewed(times: int) -> IssuedCertificates:
    """Return what is known after a join and so many renewals, each of which was used."""
    issued = with_issued(IssuedCertificates(), record(0), predecessor=None)
    for number in range(1, times + 1):
        issued = with_issued(issued, record(number), predecessor=issued.current)
        issued = with_used(issued, f"{number:x}")
    return issued


def reason(issued: IssuedCertificates, number: int) -> RefusalReason | None:
    """Return why a session may not stay that this certificate opened; None when it may."""
    try:
        check_may_stay(issued, presented(number))
    except CertificateRefused as exc:
        return exc.reason
    return None


@pytest.mark.parametrize("renewals", [0, 1, 2, 20])
def test_a_session_stays_through_renewals_and_ends_with_a_revocation(renewals: int) -> None:
    """Whichever certificate opened it."""
    issued = renewed(renewals)
    revoked, serials = with_revoked(issued, by="jane", now=NOW)
    assert serials == (f"{renewals:x}",)
    for number in range(renewals + 1):
        assert reason(issued, number) is None
        assert reason(revoked, number) is RefusalReason.CERTIFICATE_REVOKED


def test_a_session_stays_revoked_when_another_machine_has_joined() -> None:
    """A provider that was away for the revocation finds both at once."""
    revoked, _ = with_revoked(renewed(3), by="jane", now=NOW)
    replaced = with_issued(revoked, record(99), predecessor=None)
    for number in range(4):
        assert reason(replaced, number) is RefusalReason.CERTIFICATE_REVOKED
    assert reason(replaced, 99) is None


def test_a_session_that_was_forgotten_ends() -> None:
    """Its certificate could not be revoked any more; the edge comes back with the present one."""
    issued = renewed(MAX_REMEMBERED + 2)
    assert reason(issued, 0) is RefusalReason.CERTIFICATE_UNKNOWN
    assert reason(issued, 5) is None


def test_a_new_dial_needs_more_than_a_session_that_is_open() -> None:
    """One that was superseded stays open, and opens nothing."""
    with pytest.raises(CertificateRefused) as refused:
        find_issued(renewed(1), presented(0))
    assert refused.value.reason is RefusalReason.CERTIFICATE_SUPERSEDED


async def test_a_revocation_ends_the_tunnel_of_a_real_edge(tmp_path: Path) -> None:
    """Opened by a certificate that has a successor by then; events name who asked."""
    async with FakeAPIServer() as api, FakeCri(tmp_path) as cri:
        site = SiteProcesses(tmp_path / "site", api=api, cri=cri)
        site.files.fields["edgeCertificateLifetime"] = "10s"
        put_site(api)
        put_secrets(api, site.files.kubelet_secret())
        async with site.provider() as provider:
            await provider.says("edge port")
            status, token = await site.operate("token", "create")
            assert status == 0, token
            assert await site.join(token) == (0, "joined as site-a\n")
            async with site.edge() as edge:
                await edge.says("certificate renewed")
                status, said = await site.operate("site", "revoke")
                assert status == 0, said
                async with asyncio.timeout(AT_ONCE_S):
                    await provider.says("the session of site-a ends")
                    await edge.says("tunnel lost")
                # It may not come back, and says why.
                await edge.says("revoked")
        events = [
            item for (collection, _), item in api.objects.items() if collection.endswith("/events")
        ]
    (event,) = [item for item in events if item["reason"] == "CertificateRevoked"]
    assert "jane" in event["message"]

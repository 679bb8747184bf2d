"""Renewing against a provider over TLS on loopback; the clock is the test's."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.certificate_request import RequestError, Wanted, make_request
from edge_runtime.uplink.durable_files import DurableFiles
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.enrolment_error import Trouble
from edge_runtime.uplink.identity_files import IdentityFiles
from edge_runtime.uplink.join import Join
from edge_runtime.uplink.joined_edge import open_joined_edge
from edge_runtime.uplink.renewal import Renewal
from tests.fakes.enrolling_provider import EnrollingProvider
from tunnel.enrolment import RefusalReason
from tunnel.identity import parse_join_token, parse_site_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_runtime.uplink.certificate_request import CertificateRequest

ROOT = Path(__file__).parents[3]
SITE = parse_site_name("site-a")
DAY_S = 86400.0
# What a renewal may leave behind in a process: the package alone would be 10 MiB.
MOST_GROWTH_BYTES = 4 << 20


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[EnrollingProvider]:
    """A provider that the machine has joined."""
    fake = EnrollingProvider(SITE)
    async with fake.serving():
        await Join(
            token=parse_join_token(fake.token()),
            enrolment=Enrolment(server=("127.0.0.1", fake.port)),
            files=IdentityFiles(tmp_path),
            server=fake.address,
        ).run()
        yield fake


class Renewing:
    """A renewal whose clock stands, and what it did.

    Attributes:
        days: Of the certificate's life that are over.
        keys: Of each request.
        renewed: How often it said that there is a new certificate.
        failed: How often it said that an attempt brought none.
    """

    def __init__(self, root: Path, *, days: float = 0.0) -> None:
        self.days = days
        self.keys: list[str] = []
        self.renewed = 0
        self.failed = 0
        self.problem: Exception | None = None
        self.edge = open_joined_edge(root, server=None)
        self.renewal = Renewal(
            credentials=self.edge.credentials,
            files=self.edge.files,
            enrolment=Enrolment(server=self.edge.server),
            make_request=self._request,
            renewed=self._count,
            failed=self._count_failure,
            clock=lambda: time.time() + self.days * DAY_S,
            chance=lambda: 0.5,
        )

    def _count(self) -> None:
        self.renewed += 1

    def _count_failure(self) -> None:
        self.failed += 1

    async def _request(self, wanted: Wanted) -> CertificateRequest:
        if self.problem is not None:
            raise self.problem
        made = make_request(wanted)
        self.keys.append(made.key)
        return made


async def test_nothing_happens_before_its_time(tmp_path: Path, provider: EnrollingProvider) -> None:
    """At half of the chance that is 80 % of 30 days."""
    renewing = Renewing(tmp_path, days=20.0)

    assert await renewing.renewal.step() == pytest.approx(4 * DAY_S, abs=10.0)
    assert renewing.keys == []
    assert provider.state.issued == 1


async def test_each_renewal_has_a_key_of_its_own_and_is_shown(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """The provider drops the predecessor; the dials find the new one on the disk."""
    renewing = Renewing(tmp_path, days=25.0)
    for _ in range(3):
        assert await renewing.renewal.step() == 0.0

    assert len(set(renewing.keys)) == 3
    assert renewing.renewed == 3
    assert provider.state.previous is None
    assert provider.state.current is not None
    assert int(renewing.edge.credentials.facts().serial, 16) == provider.state.current[0]
    assert renewing.edge.files.pending_key() is None
    assert renewing.keys[-1].encode() in renewing.edge.files.read_identity()


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """Also by the next process."""
    provider.lose_answers = 2
    renewing = Renewing(tmp_path, days=25.0)
    assert 0.0 < await renewing.renewal.step() <= 1.0
    again = Renewing(tmp_path, days=25.0)
    assert 0.0 < await again.renewal.step() <= 1.0
    assert await again.renewal.step() == 0.0

    assert len(set(renewing.keys + again.keys)) == 1
    assert provider.state.issued == 4


async def test_key_that_is_in_use_is_not_asked_with_again(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """A power cut left it behind after the work was done."""
    renewing = Renewing(tmp_path, days=25.0)
    assert await renewing.renewal.step() == 0.0
    renewing.edge.files.keep_pending(renewing.keys[0].encode(), note="left behind")
    assert await renewing.renewal.step() == 0.0

    assert len(set(renewing.keys)) == 2
    assert provider.state.issued == 3


async def test_provider_whose_clock_is_ahead_makes_it_recover(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """It hangs up on a certificate that has expired for it; its Date tells why."""
    renewing = Renewing(tmp_path, days=25.0)
    provider.hang_up_on_certificates = True
    provider.clock_offset_s = 31 * DAY_S
    assert await renewing.renewal.step() > 0.0
    assert await renewing.renewal.step() == 0.0

    assert "POST /edge.crt recovery" in provider.requests


async def test_clock_that_is_far_ahead_is_no_reason_to_recover_without_end(
    tmp_path: Path, provider: EnrollingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """By it even the certificate that has just come has expired; the provider accepts it."""
    renewing = Renewing(tmp_path, days=45.0)
    delays = [await renewing.renewal.step() for _ in range(2)]

    assert min(delays) >= 60.0
    assert provider.state.issued == 3
    assert caplog.text.count("this machine's clock is ahead") == 1


class SlowDisk(DurableFiles):
    """A disk that is not ready before the event loop has turned."""

    def __init__(self) -> None:
        self.has_turned = threading.Event()
        self.waited: list[bool] = []

    def sync(self, path: Path) -> None:
        """Wait, and note whether it was to any purpose."""
        self.waited.append(self.has_turned.wait(timeout=5.0))
        super().sync(path)


async def test_slow_disk_does_not_stop_the_edge(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """Its tunnel would be taken for dead while a certificate is written."""
    disk = SlowDisk()
    edge = open_joined_edge(tmp_path, server=None)

    async def request(wanted: Wanted) -> CertificateRequest:
        asyncio.get_running_loop().call_later(0.01, disk.has_turned.set)
        return make_request(wanted)

    renewal = Renewal(
        credentials=edge.credentials,
        files=IdentityFiles(tmp_path, files=disk),
        enrolment=Enrolment(server=edge.server),
        make_request=request,
        clock=lambda: time.time() + 25 * DAY_S,
        chance=lambda: 0.5,
    )
    assert await renewal.step() == 0.0
    assert disk.waited
    assert all(disk.waited)
    assert provider.state.issued == 2


@pytest.mark.parametrize(
    ("reason", "trouble"),
    [
        (RefusalReason.CERTIFICATE_REVOKED, Trouble.REVOKED),
        (RefusalReason.CERTIFICATE_SUPERSEDED, Trouble.SUPERSEDED),
        (RefusalReason.CERTIFICATE_UNKNOWN, Trouble.UNKNOWN),
    ],
)
async def test_final_refusal_is_logged_once_with_what_to_do(
    tmp_path: Path,
    provider: EnrollingProvider,
    caplog: pytest.LogCaptureFixture,
    reason: RefusalReason,
    trouble: Trouble,
) -> None:
    """And asked again within the hour; when it is over, renewal goes on."""
    renewing = Renewing(tmp_path, days=25.0)
    provider.refuses = reason
    delays = [await renewing.renewal.step() for _ in range(4)]
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]

    assert all(1800.0 <= delay <= 3600.0 for delay in delays)
    assert [record.levelname for record in told] == ["ERROR"]
    assert str(told[0].__dict__["reason"]).endswith(trouble.remedy)
    assert renewing.failed == 4
    provider.refuses = None
    assert await renewing.renewal.step() == 0.0
    assert renewing.failed == 4


async def test_what_keeps_it_from_renewing_is_logged_once_and_tried_again(
    tmp_path: Path, provider: EnrollingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """No process for a key, no provider, a folder that another one holds, a file that is gone."""
    renewing = Renewing(tmp_path, days=25.0)
    renewing.problem = RequestError("no process can be started")
    assert await renewing.renewal.step() > 0.0
    renewing.problem = None
    with renewing.edge.files.locked():
        assert await renewing.renewal.step() > 0.0
        assert await renewing.renewal.step() > 0.0
    kept = renewing.edge.files.read_identity()
    renewing.edge.files.identity_file.unlink()
    assert await renewing.renewal.step() > 0.0
    renewing.edge.files.identity_file.write_bytes(kept)
    assert await renewing.renewal.step() == 0.0

    told = [str(record.__dict__["reason"]) for record in caplog.records if record.levelno > 20]
    assert len(told) == 3
    assert "no process" in told[0]
    assert "another process joins or renews" in told[1]
    assert "cannot read" in told[2]
    assert provider.state.issued == 2


async def test_renewal_leaves_no_memory_behind(tmp_path: Path, provider: EnrollingProvider) -> None:
    """Measured in a process that renews as the edge does, key and request made by its child."""
    code = f"""
import asyncio, json, sys, time
from pathlib import Path
import psutil
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.joined_edge import open_joined_edge
from edge_runtime.uplink.renewal import Renewal

async def main():
    edge = open_joined_edge(Path({str(tmp_path)!r}), server=None)
    renewal = Renewal(
        credentials=edge.credentials, files=edge.files, enrolment=Enrolment(server=edge.server),
        clock=lambda: time.time() + 29 * {DAY_S},
    )
    before = psutil.Process().memory_info().rss
    delay_s = await renewal.step()
    after = psutil.Process().memory_info().rss
    print(json.dumps([delay_s, after - before, "cryptography" in sys.modules]))

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    delay_s, growth_bytes, is_imported = json.loads(out)

    assert delay_s == 0.0
    assert not is_imported
    assert growth_bytes < MOST_GROWTH_BYTES
    assert provider.state.issued == 2

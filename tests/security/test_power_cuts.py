"""The power is cut at every step of a join and of a renewal; from every disk it goes on."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.certificate_request import Wanted, make_request
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.identity_files import IdentityFiles
from edge_runtime.uplink.join import Join
from edge_runtime.uplink.joined_edge import NotJoined, open_joined_edge
from edge_runtime.uplink.renewal import Renewal
from tests.fakes.enrolling_provider import EnrollingProvider
from tests.fakes.power_cut import CuttableFiles, Disk, PowerCut, read_disk, write_disk
from tunnel.identity import parse_join_token, parse_site_name

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.uplink.certificate_request import CertificateRequest
    from edge_runtime.uplink.durable_files import DurableFiles

SITE = parse_site_name("site-a")
MOST_STEPS = 60
DAY_S = 86400.0


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has."""
    monkeypatch.setenv("no_proxy", "*")


def join(
    provider: EnrollingProvider,
    token: str,
    root: Path,
    *,
    files: DurableFiles | None = None,
    force: bool = False,
) -> Join:
    """Make a join as the command does."""
    return Join(
        token=parse_join_token(token),
        enrolment=Enrolment(server=("127.0.0.1", provider.port)),
        files=IdentityFiles(root, files=files),
        server=provider.address,
        force=force,
    )


async def request_here(wanted: Wanted) -> CertificateRequest:
    """Make a request without a process for each of the many."""
    return make_request(wanted)


async def assert_complete(provider: EnrollingProvider, root: Path) -> None:
    """What is on the disk is what the provider has issued last, and nothing is under way."""
    edge = open_joined_edge(root, server=None)
    await Enrolment(server=edge.server).check(edge.credentials)
    assert edge.server == ("127.0.0.1", provider.port)
    assert provider.state.current is not None
    assert int(edge.credentials.facts().serial, 16) == provider.state.current[0]
    assert edge.files.pending_key() is None
    assert {path.name for path in edge.files.folder.iterdir()} >= {"identity.pem", "ca.crt"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in edge.files.folder.glob("*.pem"))


@pytest.mark.parametrize("is_answer_lost", [False, True])
async def test_join_goes_on_after_a_power_cut_at_every_step(
    tmp_path: Path, *, is_answer_lost: bool
) -> None:
    """The same command with the same token, which is good for one key alone."""
    provider = EnrollingProvider(SITE)
    tried = 0
    async with provider.serving():
        for cut_at in range(MOST_STEPS):
            provider.state = copy.deepcopy(EnrollingProvider(SITE).state)
            provider.lose_answers = int(is_answer_lost)
            token, root = provider.token(), tmp_path / f"{cut_at}"
            root.mkdir()
            files = CuttableFiles(root, cut_at=cut_at)
            try:
                await join(provider, token, root / "lib/edgelet", files=files).run()
                break
            except PowerCut:
                disks = files.disks()
            except EnrolmentError as exc:
                # The answer was lost before the cut: the machine goes off right then.
                assert exc.trouble is Trouble.HUNG_UP  # noqa: PT017 - a cut may come before
                disks = files.disks()
            state = provider.copy_state()
            for number, disk in enumerate(disks):
                provider.state = copy.deepcopy(state)
                provider.lose_answers = 0
                found = tmp_path / f"{cut_at}-{number}"
                write_disk(found, disk)
                await join(provider, token, found / "lib/edgelet").run()
                await assert_complete(provider, found / "lib/edgelet")
                tried += 1
            if is_answer_lost and state.issued:
                break
        else:
            pytest.fail("the join never came to its end")
    assert tried > (5 if is_answer_lost else 40)


async def test_join_in_the_place_of_another_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    """An identity that was revoked is replaced with --force, and a token that allows it."""
    provider = EnrollingProvider(SITE)
    async with provider.serving():
        root = tmp_path / "first"
        root.mkdir()
        await join(provider, provider.token(), root / "edgelet").run()
        before, tried = read_disk(root), 0
        assert provider.state.current is not None
        provider.state.revoked, provider.state.current = {provider.state.current[0]}, None
        revoked = provider.copy_state()
        for cut_at in range(MOST_STEPS):
            provider.state = copy.deepcopy(revoked)
            token, root = provider.token(), tmp_path / f"{cut_at}"
            write_disk(root, before)
            files = CuttableFiles(root, cut_at=cut_at)
            try:
                await join(provider, token, root / "edgelet", files=files, force=True).run()
                break
            except PowerCut:
                state = provider.copy_state()
            for number, disk in enumerate(files.disks()):
                provider.state = copy.deepcopy(state)
                found = tmp_path / f"{cut_at}-{number}"
                write_disk(found, disk)
                await join(provider, token, found / "edgelet", force=True).run()
                await assert_complete(provider, found / "edgelet")
                tried += 1
        else:
            pytest.fail("the join never came to its end")
    assert tried > 30


def renewal(root: Path, *, files: DurableFiles | None = None, days: float) -> Renewal:
    """Make a renewal whose clock is so many days ahead."""
    edge = open_joined_edge(root, server=None)
    written = edge.files.identity_file.stat().st_mtime
    return Renewal(
        credentials=edge.credentials,
        files=IdentityFiles(root, files=files),
        enrolment=Enrolment(server=edge.server),
        make_request=request_here,
        clock=lambda: written + days * DAY_S,
        chance=lambda: 0.5,
    )


async def assert_accepted(root: Path, disk: Disk) -> None:
    """A dial works at once with what is on the disk."""
    try:
        edge = open_joined_edge(root, server=None)
    except NotJoined as exc:  # pragma: no cover - what must not be
        pytest.fail(f"{exc} on {sorted(disk)}")
    await Enrolment(server=edge.server).check(edge.credentials)


@pytest.mark.parametrize("days", [27.5, 31.0], ids=["renewal", "recovery"])
async def test_renewal_goes_on_after_a_power_cut_at_every_step(tmp_path: Path, days: float) -> None:
    """Every disk has an identity that the provider accepts, and the next renewal works from it."""
    provider = EnrollingProvider(SITE)
    async with provider.serving():
        root = tmp_path / "first"
        root.mkdir()
        await join(provider, provider.token(), root / "edgelet").run()
        before, joined, tried = read_disk(root), provider.copy_state(), 0
        for cut_at in range(MOST_STEPS):
            provider.state = copy.deepcopy(joined)
            root = tmp_path / f"{cut_at}"
            write_disk(root, before)
            files = CuttableFiles(root, cut_at=cut_at)
            try:
                await renewal(root / "edgelet", files=files, days=days).step()
                break
            except PowerCut:
                state = provider.copy_state()
            for number, disk in enumerate(files.disks()):
                provider.state = copy.deepcopy(state)
                found = tmp_path / f"{cut_at}-{number}"
                write_disk(found, disk)
                await assert_accepted(found / "edgelet", disk)
                # The clock of the disk's file is that of its writing, which was now.
                await renewal(found / "edgelet", days=days).step()
                await assert_complete(provider, found / "edgelet")
                tried += 1
        else:
            pytest.fail("the renewal never came to its end")
    assert tried > 20

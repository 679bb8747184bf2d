"""What an operator does, with processes as in life: provider, machines and commands."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from cryptography import x509

from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.fake_cri import FakeCri
from tests.fakes.site_objects import put_site
from tests.fakes.site_processes import SiteProcesses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fakes.site_processes import LoggedProcess

AT_ONCE_S = 3.0
JOINED = (0, "joined as site-a\n")
BAD_TOKEN = 12
TOKEN_USED = 14
TOKEN_REVOKED = 15
SITE_HAS_EDGE = 23


@contextlib.asynccontextmanager
async def site(folder: Path, **fields: str) -> AsyncIterator[tuple[SiteProcesses, LoggedProcess]]:
    """Run a provider whose site nobody has joined yet."""
    async with FakeAPIServer() as api, FakeCri(folder) as cri:
        processes = SiteProcesses(folder / "site", api=api, cri=cri)
        processes.files.fields |= fields
        put_site(api)
        async with processes.provider() as provider:
            await provider.says("edge port")
            yield processes, provider


async def operate(processes: SiteProcesses, *arguments: str) -> str:
    """Run a command that must succeed and return what it printed."""
    status, printed = await processes.operate(*arguments)
    assert status == 0, printed
    return printed


async def test_a_token_joins_one_machine(tmp_path: Path) -> None:
    """A second one is refused, by the same token and by another one; each with its reason."""
    async with site(tmp_path) as (processes, _):
        first = await operate(processes, "token", "create")
        second = await operate(processes, "token", "create")
        assert await processes.join(first) == JOINED
        used = await processes.join(first, machine="other")
        taken = await processes.join(second, machine="other")
        shown = await operate(processes, "token", "list")
    assert used[0] == TOKEN_USED
    assert taken[0] == SITE_HAS_EDGE
    assert used[1].count("\n") == taken[1].count("\n") == 1
    assert sorted(line.split()[1] for line in shown.splitlines()[1:]) == ["used", "valid"]


async def test_a_revoked_token_joins_nobody(tmp_path: Path) -> None:
    """From the moment of its revocation on."""
    async with site(tmp_path) as (processes, _):
        token = await operate(processes, "token", "create")
        listed = await operate(processes, "token", "list")
        await operate(processes, "token", "revoke", listed.splitlines()[1].split()[0])
        status, said = await processes.join(token)
    assert status == TOKEN_REVOKED
    assert "revoked" in said


async def test_a_machine_is_replaced_by_another(tmp_path: Path) -> None:
    """The old one's tunnel ends at once, the new one's takes its place."""
    async with site(tmp_path) as (processes, provider):
        assert await processes.join(await operate(processes, "token", "create")) == JOINED
        async with processes.edge() as old:
            await provider.says("attached")
            token = await operate(processes, "site", "replace")
            async with asyncio.timeout(AT_ONCE_S):
                await provider.says("the session of site-a ends")
                await old.says("tunnel lost")
            assert await processes.join(token, machine="new") == JOINED
            async with processes.edge("new") as new:
                await new.says("tunnel open")
                await provider.says("attached", times=2)
                await old.says("revoked")
                assert old.said.count(b"tunnel open") == 1


async def test_a_rotated_ca_strands_nobody(tmp_path: Path) -> None:
    """One edge is connected meanwhile; then it is off, comes back by the old CA, and renews."""
    async with site(tmp_path, edgeCertificateLifetime="12s") as (processes, provider):
        assert await processes.join(await operate(processes, "token", "create")) == JOINED
        before = (processes.edge_root / "identity" / "ca.crt").read_bytes()
        async with processes.edge() as edge:
            await edge.says("tunnel open")
            await operate(
                *(processes, "ca", "rotate", "--certificate-lifetime", "12s"),
                *("--recovery-grace", "60s"),
            )
            new = (await operate(processes, "ca", "show", "-o", "pem")).encode()
            assert provider.said.count(b"ended") == 0
        assert (processes.edge_root / "identity" / "ca.crt").read_bytes() == before
        async with processes.edge() as edge:
            await edge.says("tunnel open")
            await edge.says("certificate renewed")
        async with processes.edge() as edge:
            await edge.says("tunnel open")
    after = (processes.edge_root / "identity" / "ca.crt").read_bytes()
    known = set(x509.load_pem_x509_certificates(after))
    assert set(x509.load_pem_x509_certificates(before)) < known
    assert x509.load_pem_x509_certificates(new)[0] in known


async def test_a_token_of_the_old_ca_is_void(tmp_path: Path) -> None:
    """The rotation says so, and so does the join."""
    async with site(tmp_path) as (processes, _):
        token = await operate(processes, "token", "create")
        asked, question = await processes.operate("ca", "rotate")
        await operate(processes, "ca", "rotate", "--yes")
        status, said = await processes.join(token)
        assert await processes.join(await operate(processes, "token", "create")) == JOINED
    assert (asked, status) == (2, BAD_TOKEN), said
    assert "--yes" in question
    assert said.count("\n") == 1

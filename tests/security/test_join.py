"""``edgelet join`` as a process, over real TLS: it joins, or says in one sentence why not."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import ssl
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.certificate_request import Wanted, make_request
from edge_runtime.uplink.enrolment_error import Trouble
from edge_runtime.uplink.identity_files import IdentityFiles
from edge_runtime.uplink.joined_edge import open_joined_edge
from tests.fakes.connect_proxy import connect_proxy
from tests.fakes.enrolling_provider import EnrollingProvider, OpeningProxy
from tests.fakes.provider_files import free_port
from tests.fakes.site_pki import SitePki
from tests.fakes.trusted_edge_port import trusted_edge_port
from tunnel.enrolment import RefusalReason
from tunnel.identity import parse_join_token, parse_site_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
SITE = parse_site_name("site-a")
JOIN_WITHIN_S = 3.0
TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Machine:
    """A machine that is to join.

    Attributes:
        root: Its rootDirectory.
        config: Its configuration file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "lib/edgelet"
        self.config = folder / "config.yaml"
        self.config.write_text(f"rootDirectory: {self.root}\n")

    async def join(
        self,
        server: str,
        *arguments: str,
        stdin: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Ended:
        """Run the command."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and name != "EDGELET_TOKEN"
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_runtime", "join", "--server", server),
            *("--config", str(self.config), *arguments),
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate((stdin or "").encode())
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def join_with(self, provider: EnrollingProvider, token: str, *arguments: str) -> Ended:
        """Run the command with a token from standard input."""
        return await self.join(provider.address, "--token-file", "-", *arguments, stdin=token)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that has never joined."""
    return Machine(tmp_path)


@pytest.fixture
async def provider() -> AsyncIterator[EnrollingProvider]:
    """A site's provider that listens."""
    fake = EnrollingProvider(SITE)
    async with fake.serving():
        yield fake


def assert_refused(ended: Ended, trouble: Trouble, *words: str) -> None:
    """One sentence on standard error, with what to do, and the trouble's own exit status."""
    assert ended.status == trouble.exit_status, ended
    assert ended.out == ""
    assert ended.err.startswith("edgelet: ")
    assert ended.err.count("\n") == 1
    assert "Traceback" not in ended.err
    if trouble.remedy:
        assert ended.err.endswith(f": {trouble.remedy}\n")
    for word in words:
        assert word in ended.err


# It works.


async def test_one_token_joins_within_three_seconds(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """The provider has seen the new certificate when the command says so; the files are private."""
    token = provider.token()
    begun = time.monotonic()
    ended = await machine.join_with(provider, token)
    assert time.monotonic() - begun < JOIN_WITHIN_S
    assert ended == Ended(0, "joined as site-a\n", "")
    assert provider.requests == ["GET /ca.crt", "POST /edge.crt", "GET /edge.crt"]
    folder = machine.root / "identity"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"identity.pem": 0o600, "ca.crt": 0o600, "site.json": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    edge = open_joined_edge(machine.root, server=None)
    assert (edge.credentials.site, edge.server) == (SITE, ("127.0.0.1", provider.port))


@pytest.mark.parametrize("way", ["file", "stdin", "environment", "argument"])
async def test_token_comes_by_any_way(
    machine: Machine, provider: EnrollingProvider, way: str
) -> None:
    """With the end of line that files have."""
    token = f"{provider.token()}\n"
    file = machine.folder / "token"
    file.write_text(token)
    match way:
        case "file":
            ended = await machine.join(provider.address, "--token-file", str(file))
        case "stdin":
            ended = await machine.join(provider.address, "--token-file", "-", stdin=token)
        case "environment":
            variables = {"EDGELET_TOKEN": token}
            ended = await machine.join(provider.address, environment=variables)
        case _:
            ended = await machine.join(provider.address, token)
    assert ended == Ended(0, "joined as site-a\n", "")


async def test_a_lost_answer_strands_nobody(machine: Machine, provider: EnrollingProvider) -> None:
    """The same token with the same key, which was on the disk before it was asked with."""
    token = provider.token()
    provider.lose_answers = 1
    assert_refused(await machine.join_with(provider, token), Trouble.HUNG_UP, "hung up")
    assert provider.state.issued == 1
    assert (await machine.join_with(provider, token)).out == "joined as site-a\n"
    # A provisioning script runs twice.
    assert (await machine.join_with(provider, token)).out == "joined as site-a\n"
    assert provider.state.issued == 2


async def test_two_machines_with_one_token_leave_one_winner(
    tmp_path: Path, provider: EnrollingProvider
) -> None:
    """At the same time; the other one is told why."""
    token = provider.token()
    machines = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        machines.append(Machine(tmp_path / name))
    ends = await asyncio.gather(*(machine.join_with(provider, token) for machine in machines))
    assert sorted(ended.status for ended in ends) == [0, Trouble.TOKEN_USED.exit_status]


async def test_proxy_of_the_environment_is_used(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """As by the tunnel's dial: CONNECT with the password, and NO_PROXY goes around it."""
    async with connect_proxy("me:p@ss") as proxy:
        url = f"http://me:p%40ss@127.0.0.1:{proxy.port}"
        variables = {"EDGELET_TOKEN": provider.token(), "HTTPS_PROXY": url}
        ended = await machine.join(provider.address, environment=variables)
        assert ended == Ended(0, "joined as site-a\n", "")
        assert await proxy.request() == f"200 CONNECT {provider.address} HTTP/1.1"
    variables |= {"NO_PROXY": "127.0.0.1"}
    # The proxy is gone; the command does not miss it.
    assert (await machine.join(provider.address, environment=variables)).status == 0


# It does not, and says why.


@pytest.mark.parametrize(
    "text", ["", "abc", "a.b.c", f"{'0' * 64}.a.b", f"{'0' * 64}.a.b.c", f"{'z' * 64}.a.b.c"]
)
async def test_what_is_no_token_is_not_sent(
    machine: Machine, provider: EnrollingProvider, text: str
) -> None:
    """Nobody is asked, and nothing is written."""
    ended = await machine.join_with(provider, text)
    assert_refused(ended, Trouble.BAD_TOKEN_SHAPE)
    assert provider.requests == []
    assert not machine.root.exists()
    assert text not in ended.err or len(text) < 64


async def test_wrong_hash_ends_before_the_token_is_sent(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """Whoever answers with another CA learns nothing."""
    ended = await machine.join_with(provider, provider.token(pin="0" * 64))
    assert_refused(ended, Trouble.WRONG_HASH, provider.address)
    assert provider.requests == ["GET /ca.crt"]
    assert provider.state.issued == 0


async def test_token_of_the_other_site_of_one_cloud(machine: Machine) -> None:
    """Each site has a CA of its own, so the hash tells."""
    other = EnrollingProvider(parse_site_name("site-b"))
    async with other.serving():
        ended = await machine.join_with(other, EnrollingProvider(SITE).token())
    assert_refused(ended, Trouble.WRONG_HASH)


async def test_right_ca_with_another_sites_name(machine: Machine) -> None:
    """The server's certificate must be for the site that the token names."""
    provider = EnrollingProvider(SITE)
    async with provider.serving(certificate_for="provider.site-b.edgelet.internal"):
        ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.OTHER_SITE, "is not for provider.site-a.edgelet.internal")
    assert provider.requests == ["GET /ca.crt"]


@pytest.mark.parametrize(
    ("reason", "trouble"),
    [
        (RefusalReason.BAD_TOKEN, Trouble.BAD_TOKEN),
        (RefusalReason.TOKEN_EXPIRED, Trouble.TOKEN_EXPIRED),
        (RefusalReason.TOKEN_USED, Trouble.TOKEN_USED),
        (RefusalReason.TOKEN_REVOKED, Trouble.TOKEN_REVOKED),
        (RefusalReason.OTHER_SITE, Trouble.OTHER_SITE),
        (RefusalReason.SITE_HAS_EDGE, Trouble.SITE_HAS_EDGE),
        (RefusalReason.TOO_MANY_REQUESTS, Trouble.BUSY),
        (RefusalReason.UNAVAILABLE, Trouble.BUSY),
    ],
)
async def test_refusal_of_the_provider_is_told(
    machine: Machine, provider: EnrollingProvider, reason: RefusalReason, trouble: Trouble
) -> None:
    """Each with its own exit status and what to do."""
    provider.refuses = reason
    ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, trouble)
    provider.refuses = None
    assert (await machine.join_with(provider, provider.token())).status == 0


async def test_tokens_that_the_provider_itself_judges(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """Expired, revoked, tampered with, and for another site under the same CA."""
    expired = provider.token(ttl_s=-1)
    assert_refused(await machine.join_with(provider, expired), Trouble.TOKEN_EXPIRED)
    revoked = provider.token()
    provider.state.revoked_tokens.add("2")
    assert_refused(await machine.join_with(provider, revoked), Trouble.TOKEN_REVOKED)
    tampered = f"{provider.token()[:-4]}AAAA"
    assert_refused(await machine.join_with(provider, tampered), Trouble.BAD_TOKEN)
    assert provider.state.issued == 0


async def test_second_machine_of_a_site_is_refused(
    tmp_path: Path, machine: Machine, provider: EnrollingProvider
) -> None:
    """While the first one's certificate is in force, whatever the token."""
    assert (await machine.join_with(provider, provider.token())).status == 0
    (tmp_path / "second").mkdir()
    ended = await Machine(tmp_path / "second").join_with(provider, provider.token())
    assert_refused(ended, Trouble.SITE_HAS_EDGE)


@pytest.mark.parametrize(
    ("offset_s", "said"), [(7200, "2 hours behind"), (-864000, "10 days ahead of")]
)
async def test_clocks_that_differ_are_told_with_the_skew(
    machine: Machine, provider: EnrollingProvider, offset_s: float, said: str
) -> None:
    """Before the token is used up for a certificate that would not be valid here."""
    provider.clock_offset_s = offset_s
    ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.CLOCK_SKEW, f"clock is {said} the provider's")
    assert provider.state.issued == 0


async def test_port_that_is_closed(machine: Machine) -> None:
    """And a host that no name server knows."""
    token = EnrollingProvider(SITE).token()
    ended = await machine.join(f"127.0.0.1:{free_port()}", token)
    assert_refused(ended, Trouble.UNREACHABLE, "nobody listens")
    ended = await machine.join("no-such-host.invalid:10443", token)
    assert_refused(ended, Trouble.UNREACHABLE, "cannot be resolved")


@contextlib.asynccontextmanager
async def server_that_says(text: bytes, context: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Answer every connection with the same bytes; yield the address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(text)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("is_tls", "text"),
    [
        (False, b"SSH-2.0-OpenSSH_9.2\r\n"),
        (False, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        (True, b"220 mail.example ESMTP\r\n"),
        (True, b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n"),
        (True, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome</html>"),
        (True, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        (True, b"HTTP/1.1 302 Found\r\nLocation: https://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"),
        (True, b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"),
        (True, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000),
        (True, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000),
    ],
)
async def test_what_is_not_edgelet_is_told(
    tmp_path: Path, machine: Machine, *, is_tls: bool, text: bytes
) -> None:
    """Another port of the right host, usually; whatever it answers, in whatever length."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    context = None
    if is_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.server_certificate_file, pki.server_key_file)
    async with server_that_says(text, context) as address:
        ended = await machine.join(address, EnrollingProvider(SITE).token())
    assert_refused(ended, Trouble.NOT_EDGELET)


async def test_proxy_that_opens_tls_learns_nothing(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """It passes /ca.crt on unchanged, and its own certificate gives it away: no token for it."""
    async with OpeningProxy(provider).serving() as proxy:
        ended = await machine.join(proxy.address, provider.token())
    assert_refused(ended, Trouble.INTERCEPTED, "opens TLS")
    assert provider.requests == ["GET /ca.crt"]
    assert "Authorization" not in proxy.seen


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://me:wrong@127.0.0.1:{port}", "answered 407"),
        ("http://127.0.0.1:1", "cannot be reached"),
        ("socks5h://127.0.0.1:1", "socks5h proxy is not supported"),
        ("http://secret@127.0.0.1:1", "cannot be used"),
    ],
)
async def test_proxy_that_is_of_no_use_is_told(
    machine: Machine, provider: EnrollingProvider, url: str, said: str
) -> None:
    """Without its password."""
    async with connect_proxy("me:p@ss") as proxy:
        variables = {
            "EDGELET_TOKEN": provider.token(),
            "https_proxy": url.format(port=proxy.port),
        }
        ended = await machine.join(provider.address, environment=variables)
    assert_refused(ended, Trouble.PROXY, said)
    assert "wrong" not in ended.err
    assert "secret" not in ended.err


async def test_machine_that_has_joined_is_told(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """Nothing is touched without --force; with it, a token for the replacement joins anew."""
    assert (await machine.join_with(provider, provider.token())).status == 0
    before = IdentityFiles(machine.root).read_identity()
    ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.ALREADY_JOINED, "has joined site-a before")
    assert IdentityFiles(machine.root).read_identity() == before

    assert provider.state.current is not None
    provider.state.revoked.add(provider.state.current[0])
    provider.state.current = None
    assert (await machine.join_with(provider, provider.token(), "--force")).status == 0
    after = IdentityFiles(machine.root).read_identity()
    assert after.partition(b"-----END")[0] != before.partition(b"-----END")[0]


async def test_folder_that_cannot_be_written(machine: Machine, provider: EnrollingProvider) -> None:
    """Not even by root: a file is where the folder should be."""
    machine.root.parent.write_text("a file\n")
    ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.FOLDER, str(machine.root.parent))
    assert provider.requests == []


async def test_two_joins_at_once_on_one_machine(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """The second one does not wait, and does not write."""
    with IdentityFiles(machine.root).locked():
        ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.FOLDER, "another process joins or renews")


async def test_certificate_of_another_key_is_not_kept(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """Whatever the provider answers, the identity on the disk is whole or is not there."""
    provider.gives_for = make_request(Wanted(site=SITE)).csr
    ended = await machine.join_with(provider, provider.token())
    assert_refused(ended, Trouble.BAD_ANSWER, "its own key")
    assert not (machine.root / "identity/identity.pem").exists()
    assert not list((machine.root / "identity").glob("*.new"))


async def test_token_is_in_no_output_and_no_file(
    machine: Machine, provider: EnrollingProvider
) -> None:
    """Neither of a join that works nor of one that does not."""
    secrets = []
    for refusal in (RefusalReason.TOKEN_USED, None):
        provider.refuses = refusal
        token = provider.token()
        secrets += [parse_join_token(token).jwt, parse_join_token(token).jwt.rpartition(".")[2]]
        ended = await machine.join_with(provider, token)
        written = [path.read_text() for path in machine.root.rglob("*") if path.is_file()]
        for text in (ended.out, ended.err, *written):
            assert not any(secret in text for secret in secrets)
    joined = json.loads((machine.root / "identity/site.json").read_text())
    assert set(joined) == {"site", "server", "token"}
    assert len(joined["token"]) == 16


async def test_all_of_it_against_the_real_edge_port(tmp_path: Path, machine: Machine) -> None:
    """Joined, joined before, used, revoked, another machine's site, and one that replaces it."""
    (tmp_path / "other").mkdir()
    other = Machine(tmp_path / "other")
    async with trusted_edge_port() as port:
        address = f"127.0.0.1:{port.listener.port}"

        async def join(who: Machine, token: object, *arguments: str) -> Ended:
            return await who.join(address, "--token-file", "-", *arguments, stdin=str(token))

        made = await port.administration.create_token(ttl_s=600.0)
        assert await join(machine, made.token) == Ended(0, "joined as site-a\n", "")
        assert await join(machine, made.token) == Ended(0, "joined as site-a\n", "")
        assert_refused(await join(other, made.token), Trouble.TOKEN_USED)
        second = await port.administration.create_token(ttl_s=600.0)
        assert_refused(await join(machine, second.token), Trouble.ALREADY_JOINED)
        assert_refused(await join(other, second.token), Trouble.SITE_HAS_EDGE)
        await port.administration.revoke_token(second.record.id)
        assert_refused(await join(other, second.token), Trouble.TOKEN_REVOKED)
        tampered = f"{str(second.token)[:-4]}AAAA"
        assert_refused(await join(other, tampered), Trouble.BAD_TOKEN)
        _, replacing = await port.administration.replace_site(by="the test", ttl_s=600.0)
        assert (await join(other, replacing.token)).status == 0
        await port.administration.rotate_authority(
            certificate_lifetime_s=3600.0, recovery_grace_s=3600.0
        )
        third = await port.administration.create_token(ttl_s=600.0)
        assert_refused(await join(machine, third.token), Trouble.ALREADY_JOINED)


async def test_a_join_whose_key_was_revoked_meanwhile_takes_a_new_one(machine: Machine) -> None:
    """The answer was lost, the operator replaced the site: the next token must do."""
    async with trusted_edge_port() as port:
        address = f"127.0.0.1:{port.listener.port}"
        made = await port.administration.create_token(ttl_s=600.0)
        ended = await machine.join(address, "--token-file", "-", stdin=str(made.token))
        assert ended.status == 0
        # The disk of a machine that never got its answer: the key alone.
        files = IdentityFiles(machine.root)
        files.keep_pending(files.read_identity().partition(b"-----BEGIN CERT")[0], note="of a join")
        for path in (files.identity_file, files.ca_file, files.site_file):
            path.unlink()
        _, replacing = await port.administration.replace_site(by="the test", ttl_s=600.0)
        ended = await machine.join(address, "--token-file", "-", stdin=str(replacing.token))
        assert ended == Ended(0, "joined as site-a\n", "")

"""The machine's own logs, asked for through the tunnel."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.node_logs import MAX_DEPTH, NodeLogsHandler, NodeLogsOptions
from edge_runtime.api.router import Route, Router
from edge_runtime.logs.journal import Journal
from tests.fakes.edge_api import edge_api
from tests.fakes.tunnel_pair import TunnelPair, tunnel_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# Prints what it was asked, as one that knows two units.
JOURNALCTL = """
import sys
if sys.argv[1:] == ["--field", "_SYSTEMD_UNIT"]:
    print("containerd.service\\nssh.service")
else:
    print("|".join(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The machine's log folder, and a secret beside it."""
    folder = tmp_path / "log"
    (folder / "sub").mkdir(parents=True)
    (folder / "syslog").write_text("one\ntwo\n")
    (folder / "a<b>:c").write_text("x")
    (folder / "sub/deep.log").write_text("deep\n")
    (folder / "app").mkdir()
    (folder / "app/app.log").write_text("app\n")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "around").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    return folder


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, has_files: bool = True, has_queries: bool = True, command: str = JOURNALCTL
) -> AsyncIterator[TunnelPair]:
    """Answer for that folder and a journal."""
    options = NodeLogsOptions(has_files=has_files, has_queries=has_queries, folder=str(folder))
    handler = NodeLogsHandler(options, journal=Journal((sys.executable, "-c", command)))
    parts = [f"/{{part{depth}}}" for depth in range(MAX_DEPTH)]
    routes = [
        Route("/logs" + "".join(parts[:depth]), ("GET",), handler.handle)
        for depth in range(MAX_DEPTH + 1)
    ]
    async with tunnel_pair(Router(routes).handle) as pair:
        yield pair


async def test_it_is_off_unless_configured(tmp_path: Path) -> None:
    """With the kubelet's words."""
    async with edge_api(tmp_path) as api:
        for path in ("/logs/", "/logs/syslog", "/logs/?query=containerd"):
            assert await api.pair.fetch(path) == (405, b"logs endpoint is disabled.\n")


async def test_folders_are_listed_and_files_sent(folder: Path) -> None:
    """Names are escaped, links relative."""
    async with serving(folder) as pair:
        status, listing = await pair.fetch("/logs/")
        assert status == 200
        assert b'<a href="./sub/">sub/</a>\n' in listing
        assert b'<a href="./a%3Cb%3E%3Ac">a&lt;b&gt;:c</a>\n' in listing
        assert await pair.fetch("/logs/syslog") == (200, b"one\ntwo\n")
        assert await pair.fetch("/logs/sub/deep.log") == (200, b"deep\n")
        assert await pair.fetch("/logs/sub/") == (
            200,
            b'<!doctype html>\n<pre>\n<a href="./deep.log">deep.log</a>\n</pre>\n',
        )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("none", 404),
        ("syslog/x", 404),
        ("..%2Fsecret", 404),
        ("%2e%2e/secret", 404),
        ("sub/%2e%2e/%2e%2e/secret", 404),
        ("link", 403),
        ("around/secret", 403),
        ("pipe", 403),
        ("a/b/c/d/e/f/g/h/i", 404),
        ("?query=/../secret", 404),
        ("?query=/link", 403),
    ],
)
async def test_nothing_leads_out_of_the_folder(folder: Path, path: str, status: int) -> None:
    """Not by dots, not by links; and a pipe does not hang."""
    async with serving(folder) as pair:
        answer = await pair.fetch(f"/logs/{path}")

    assert answer[0] == status
    assert b"secret" not in answer[1]


async def test_services_are_asked_of_the_journal(folder: Path) -> None:
    """Each part of the query is an option of journalctl's own."""
    query = (
        "query=containerd&query=ssh&tailLines=5&pattern=a%20b&boot=-1"
        "&sinceTime=2026-01-02T04:04:05%2B01:00&untilTime=2026-01-02T03:04:06.9Z"
    )
    async with serving(folder) as pair:
        answer = await pair.fetch(f"/logs/?{query}")

    assert answer == (
        200,
        b"--utc|--no-pager|--output=short-precise|--since=2026-01-02 03:04:05 UTC|"
        b"--until=2026-01-02 03:04:06 UTC|--lines=5|--unit=containerd|--unit=ssh|--grep=a b|"
        b"--boot=-1\n",
    )


async def test_what_is_not_in_the_journal_is_looked_for_in_files(folder: Path) -> None:
    """By the names that services give their files."""
    async with serving(folder) as pair:
        assert await pair.fetch("/logs/?query=syslog&query=app") == (200, b"one\ntwo\napp\n")
        assert await pair.fetch("/logs/?query=nothing") == (
            200,
            b"\nlog not found for nothing\n",
        )
        _, text = await pair.fetch("/logs/?query=syslog&tailLines=1")
        assert b"options present and query resolved to log files for syslog" in text
        assert await pair.fetch("/logs/?query=/sub/deep.log") == (200, b"deep\n")


async def test_a_machine_without_journal_has_its_files(folder: Path) -> None:
    """And no error for the lack of it."""
    options = NodeLogsOptions(has_files=True, has_queries=True, folder=str(folder))
    handler = NodeLogsHandler(options, journal=Journal(("/none/journalctl",)))
    async with tunnel_pair(Router([Route("/logs", ("GET",), handler.handle)]).handle) as pair:
        assert await pair.fetch("/logs/?query=app") == (200, b"app\n")


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("query=%20", 400, "may not be empty"),
        ("query=a&sinceTime=yesterday", 400, "invalid time format"),
        ("query=a&tailLines=x", 400, "tailLines"),
        ("tailLines=5", 406, "cannot be empty with options"),
        ("query=--help", 406, "unsupported characters"),
        ("query=a%3Brm", 406, "unsupported characters"),
        ("query=a&query=b&query=c&query=d&query=e", 406, "Too many"),
        ("query=a&query=/b", 406, "cannot specify a file and service"),
        ("query=/a&query=/b", 406, "cannot specify more than one file"),
        ("query=/syslog&tailLines=1", 406, "cannot specify file with options"),
        ("query=a&tailLines=100001", 406, "must be between 0 and 100000, inclusive"),
        ("query=a&boot=1", 406, "must be less than 1"),
        (
            "query=a&sinceTime=2026-01-02T00:00:00Z&untilTime=2026-01-01T00:00:00Z",
            406,
            "must be after `sinceTime`",
        ),
        ("query=a&pattern=" + "x" * 1025, 406, "pattern"),
    ],
)
async def test_bad_queries_are_refused(folder: Path, query: str, status: int, text: str) -> None:
    """Before anything is started."""
    async with serving(folder, command="raise SystemExit('asked')") as pair:
        answer = await pair.fetch(f"/logs/?{query}")

    assert answer[0] == status
    assert text in answer[1].decode()


async def test_without_queries_there_are_only_files(folder: Path) -> None:
    """As a kubelet, which takes no note of the query then."""
    async with serving(folder, has_queries=False) as pair:
        assert await pair.fetch("/logs/syslog?query=containerd") == (200, b"one\ntwo\n")
        _, listing = await pair.fetch("/logs/?query=containerd")
        assert b"syslog</a>" in listing
    async with serving(folder) as pair:
        assert (await pair.fetch("/logs/syslog?query=containerd"))[0] == 406

"""``/logs/``: the machine's own logs, its files and its journal; off unless it is configured.

Source: kubernetes pkg/kubelet/kubelet.go ``logServer``, pkg/kubelet/server/server.go
``InstallSystemLogHandler``, pkg/kubelet/kubelet_server_journal.go.
"""

from __future__ import annotations

import asyncio
import html
import logging
import os
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from edge_runtime.api.node_log_query import parse_node_log_query
from edge_runtime.api.request import TEXT, ApiError, respond_bytes
from edge_runtime.api.until_closed import until_closed
from edge_runtime.logs.descriptor import LogNotFound, LogReadError
from edge_runtime.logs.journal import DEADLINE_S, Journal, JournalError
from edge_runtime.logs.node_log_folder import NodeLogFile, NodeLogFolder
from tunnel.protocol import ResponseHead
from tunnel.stream import INTERNAL_ERROR

if TYPE_CHECKING:
    from edge_runtime.api.node_log_query import NodeLogQuery
    from edge_runtime.api.request import ApiRequest
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# Deeper paths are none: logs of pods lie four below.
MAX_DEPTH = 8
_HTML = "text/html; charset=utf-8"
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLogsOptions:
    """What of the machine's logs is shown.

    Attributes:
        has_files: Files below the folder, and lists of them.
        has_queries: The journal as well.
        folder: Where the machine's logs are.
    """

    has_files: bool = False
    has_queries: bool = False
    folder: str = "/var/log"


class NodeLogsHandler:
    """Answers ``/logs/`` and what is below."""

    def __init__(self, options: NodeLogsOptions, *, journal: Journal | None = None) -> None:
        self._options = options
        self._folder = NodeLogFolder(options.folder)
        self._journal = journal or Journal()

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Send a file, the list of a folder, or what the journal has.

        Raises:
            ApiError: It is off, the query makes no sense, or there is no such file.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        if not self._options.has_files:
            raise ApiError(405, "logs endpoint is disabled.\n")
        parts = [request.parameters[name] for name in sorted(request.parameters)]
        query = parse_node_log_query(request) if self._options.has_queries else None
        if query is None:
            await self._send_entry(parts, stream)
            return
        if parts:
            raise ApiError(406, "path not allowed in query mode\n")
        if query.files:
            names = query.files[0].replace("\\", "/").strip("/").split("/")
            await self._send_entry(names, stream)
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                await until_closed(stream, self._send_services(query, stream))
        except TimeoutError:
            stream.reset(INTERNAL_ERROR, f"the journal took more than {DEADLINE_S:g} s")

    async def _send_entry(self, parts: list[str], stream: Stream) -> None:
        found = await self._opened(parts)
        if isinstance(found, NodeLogFile):
            head = ResponseHead(status=200, headers=(("content-type", _BYTES),))
            await stream.respond(head)
            await until_closed(stream, _send_file(found, stream))
            return
        await respond_bytes(stream, _listing(found), content_type=_HTML)

    async def _opened(self, parts: list[str]) -> NodeLogFile | list[str]:
        try:
            return await asyncio.to_thread(self._folder.open, parts)
        except LogNotFound as exc:
            raise ApiError(404, "404 page not found\n") from exc
        except LogReadError as exc:
            logger.warning("a file of the machine cannot be read", extra={"error": str(exc)})
            raise ApiError(403, f"403 Forbidden: {exc.reason}\n") from exc

    async def _send_services(self, query: NodeLogQuery, stream: Stream) -> None:
        known = await self._journal.units(query.services)
        in_journal = tuple(each for each in query.services if each in known)
        in_files = [each for each in query.services if each not in known]
        await stream.respond(ResponseHead(status=200, headers=(("content-type", TEXT),)))
        if in_journal:
            await self._send_journal(query.journal_options(in_journal), stream)
        if in_files and query.has_options:
            text = f"\noptions present and query resolved to log files for {' '.join(in_files)}\n"
            await stream.write(f"{text}try without specifying options\n".encode())
        else:
            for service in in_files:
                await self._send_service_file(service, stream)
        await stream.close_write()

    async def _send_journal(self, options: tuple[str, ...], stream: Stream) -> None:
        try:
            async with aclosing(self._journal.output(options)) as pieces:
                async for piece in pieces:
                    await stream.write(piece)
        except JournalError as exc:
            await stream.write(f"\nerror: journal output not available: {exc}\n".encode())

    async def _send_service_file(self, service: str, stream: Stream) -> None:
        """Send the file that stands for a service, the first of the usual names that is there."""
        for parts in ([service], [f"{service}.log"], [service, f"{service}.log"]):
            try:
                found = await asyncio.to_thread(self._folder.open, parts)
            except LogNotFound:
                continue
            except LogReadError as exc:
                await stream.write(f"\nerror getting log for {service}: {exc.reason}\n".encode())
                return
            if isinstance(found, NodeLogFile):
                await _copy(found, stream)
                return
        await stream.write(f"\nlog not found for {service}\n".encode())


async def _send_file(file: NodeLogFile, stream: Stream) -> None:
    try:
        await _copy(file, stream)
    except LogReadError as exc:
        stream.reset(INTERNAL_ERROR, str(exc))
        return
    await stream.close_write()


async def _copy(file: NodeLogFile, stream: Stream) -> None:
    with closing(file):
        while data := await asyncio.to_thread(file.read):
            await stream.write(data)


def _listing(names: list[str]) -> bytes:
    # A colon in a name would make a scheme of it without the dot.
    rows = [f'<a href="./{quote(os.fsencode(name))}">{html.escape(name)}</a>\n' for name in names]
    return ("<!doctype html>\n<pre>\n" + "".join(rows) + "</pre>\n").encode("utf-8", "replace")

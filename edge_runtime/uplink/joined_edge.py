"""What a join left on disk for the edge that runs: who it is, and whom it dials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.config import parse_server
from edge_runtime.uplink.credentials import Credentials, CredentialsError
from edge_runtime.uplink.identity_files import IdentityFiles, IdentityFolderError

if TYPE_CHECKING:
    from pathlib import Path


class NotJoined(Exception):
    """The machine has no identity that it could run with; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedEdge:
    """One edge's identity.

    Attributes:
        files: Where it lies.
        credentials: What dials show.
        server: Host and port of the provider.
    """

    files: IdentityFiles
    credentials: Credentials
    server: tuple[str, int]


def open_joined_edge(root: Path, *, server: tuple[str, int] | None) -> JoinedEdge:
    """Read and check the identity; one that has expired is good enough to recover by.

    Args:
        root: The edge's rootDirectory.
        server: Instead of the one that was joined.

    Raises:
        NotJoined: There is none, or it cannot be used.
    """
    files = IdentityFiles(root)
    try:
        if not files.has_identity():
            begun = files.pending_key() is not None
            raise NotJoined(
                "a join was begun here but not completed: run the same edgelet join again"
                if begun
                else f"there is no identity in {files.folder}: run edgelet join first"
            )
        credentials = files.credentials()
        return JoinedEdge(
            files=files, credentials=credentials, server=server or _joined_server(files)
        )
    except (CredentialsError, IdentityFolderError) as exc:
        raise NotJoined(str(exc)) from exc


def _joined_server(files: IdentityFiles) -> tuple[str, int]:
    joined = files.joined_site()
    if joined is None:
        raise NotJoined(
            f"{files.site_file} is missing: name the provider with the field server of the "
            "configuration"
        )
    try:
        return parse_server(joined.server)
    except ValueError as exc:
        raise NotJoined(f"{files.site_file}: {exc}") from exc

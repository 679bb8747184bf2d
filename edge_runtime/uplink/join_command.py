"""What ``edgelet join`` runs: the parts of a join, in a loop of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.identity_files import IdentityFiles
from edge_runtime.uplink.join import Join
from tunnel.errors import IdentityError
from tunnel.identity import parse_join_token

if TYPE_CHECKING:
    from pathlib import Path

    from tunnel.identity import SiteName


def run_join(
    *, token: str, server: tuple[str, int], server_text: str, root: Path, force: bool
) -> SiteName:
    """Join and return the site.

    Args:
        token: As it was passed.
        server: Host and port of the provider.
        server_text: The same as it was passed, to be noted.
        root: The edge's rootDirectory.
        force: Whether an identity that is there is replaced.

    Raises:
        EnrolmentError: The machine has not joined, or already had.
    """
    if not token.strip():
        raise EnrolmentError(
            Trouble.BAD_TOKEN_SHAPE, "no token was passed (--token-file, EDGELET_TOKEN or argument)"
        )
    try:
        parsed = parse_join_token(token)
    except IdentityError as exc:
        raise EnrolmentError(Trouble.BAD_TOKEN_SHAPE, str(exc)) from exc
    joining = Join(
        token=parsed,
        enrolment=Enrolment(server=server),
        files=IdentityFiles(root),
        server=server_text,
        force=force,
    )
    return asyncio.run(joining.run())

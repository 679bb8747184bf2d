"""What this package needs to know of the link to the edge; edge_link.EdgeClient fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class LinkState(Protocol):
    """One state of the link; states are compared by value.

    Attributes:
        connected: Whether a connection carries a session.
        since: When this state began.
        last_error: Why there is no session, one sentence; "" when nobody has said.
        session_id_hash: Names the session, also one that is interrupted and may go on; "" without.
    """

    @property
    def connected(self) -> bool: ...  # noqa: D102
    @property
    def since(self) -> datetime: ...  # noqa: D102
    @property
    def last_error(self) -> str: ...  # noqa: D102
    @property
    def session_id_hash(self) -> str: ...  # noqa: D102


class Link(Protocol):
    """The link to the edge."""

    @property
    def state(self) -> LinkState:
        """The state of this moment."""

    async def wait_connected(self) -> None:
        """Return when a connection carries a session, at once if it does."""

    async def changed(self) -> LinkState:
        """Return the state after its next change."""

    async def answers(self, *, timeout_s: float) -> bool:
        """Whether the edge runtime itself answered within the time."""


async def wait_change(link: Link, seen: LinkState) -> LinkState:
    """Return the first state that differs from ``seen``, at once when the present one does.

    Relies on ``changed()`` registering its interest before it first suspends: there MUST be no
    await between the comparison and that.
    """
    while link.state == seen:
        await link.changed()
    return link.state

"""Service account tokens, sealed, on disk before any pod sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.sealed_rows import token_row
from tunnel.sync import TokenWant, token_key

if TYPE_CHECKING:
    import sqlite3

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """One token, and what was wanted with it.

    Attributes:
        expiry: RFC 3339.
        issued_at: RFC 3339, by the clock of who issued it.
    """

    want: TokenWant
    token: str = field(repr=False)
    expiry: str
    issued_at: str


class TokenStore:
    """Tokens by ``token_key``; PodStore takes them off the disk with their pod."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[str, StoredToken]:
        """Read all tokens.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        rows = await self._database.run(_read)
        return {key: self._decode(key, want, token, *times) for key, want, token, *times in rows}

    async def put(self, stored: StoredToken) -> None:
        """Keep a token in place of the one before; return once it is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        key = token_key(stored.want)
        row = (
            key,
            stored.want.pod_uid,
            msgspec.json.encode(stored.want),
            self._database.sealer.seal(stored.token.encode(), row=token_row(key)),
            stored.expiry,
            stored.issued_at,
        )
        await self._database.write(
            "INSERT OR REPLACE INTO tokens (key, uid, want, token, expiry, issued_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [row],
        )

    async def remove_pod(self, uid: PodUID) -> None:
        """Drop all tokens of a pod.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        await self._database.write("DELETE FROM tokens WHERE uid = ?", [(uid,)])

    def _decode(
        self, key: str, want: bytes, token: bytes, expiry: str, issued_at: str
    ) -> StoredToken:
        try:
            return StoredToken(
                want=msgspec.json.decode(want, type=TokenWant),
                token=self._database.sealer.open(token, row=token_row(key)).decode(),
                expiry=expiry,
                issued_at=issued_at,
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise StoreDamaged(f"the stored token {key} cannot be read: {exc}") from exc


def _read(connection: sqlite3.Connection) -> list[tuple[str, bytes, bytes, str, str]]:
    return connection.execute("SELECT key, want, token, expiry, issued_at FROM tokens").fetchall()

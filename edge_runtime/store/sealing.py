"""Secrets in the database are sealed: whoever has the file, but not the key, has nothing.

A sealed value is bound to the row it stands in, so that none can be put in another's place:

    0x01   nonce, 12 bytes, random   AES-256-GCM ciphertext and tag
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from edge_runtime.store.aes_gcm import KEY_BYTES, NONCE_BYTES, NotAuthentic, open_aead
from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = b"\x01"
_ID_BYTES = 16


class Sealer:
    """Seals and opens values under one key; callable from any thread.

    Nonces are random: NIST SP 800-38D allows 2**32 of them per key, which is one per second for a
    century.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = open_aead(key)
        self.key_id = compute_key_id(key)

    def seal(self, plain: bytes, *, row: Sequence[str]) -> bytes:
        """Encrypt a value.

        Args:
            plain: The value.
            row: Table and key of the row that it is for.
        """
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._aead.encrypt(nonce=nonce, plain=plain, bound_to=_encode_row(row))
        return _VERSION + nonce + sealed

    def open(self, sealed: bytes, *, row: Sequence[str]) -> bytes:
        """Decrypt a value.

        Raises:
            StoreDamaged: It was not sealed with this key for this row, or is damaged.
        """
        # What is not sealed at all has another first byte, and fails like a forged one.
        body = sealed.removeprefix(_VERSION).ljust(NONCE_BYTES, b"\0")
        try:
            return self._aead.decrypt(
                nonce=body[:NONCE_BYTES], sealed=body[NONCE_BYTES:], bound_to=_encode_row(row)
            )
        except NotAuthentic as exc:
            raise StoreDamaged(
                f"the stored {'/'.join(row)} is not what was sealed with the key of this database"
            ) from exc


def is_sealed(value: bytes) -> bool:
    """Whether a value is a sealed one; no JSON begins so."""
    return value.startswith(_VERSION) and len(value) > len(_VERSION) + NONCE_BYTES


def make_key() -> bytes:
    """Return a new key."""
    return os.urandom(KEY_BYTES)


def compute_key_id(key: bytes) -> str:
    """Return a name for a key that tells nothing about it."""
    return hashlib.blake2b(key, digest_size=_ID_BYTES, person=b"edgelet-key-id").hexdigest()


def _encode_row(row: Sequence[str]) -> bytes:
    # Lengths first: no two rows read the same, whatever characters are in them.
    return b"".join(len(each.encode()).to_bytes(4) + each.encode() for each in row)

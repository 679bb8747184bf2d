"""A document that is one field of a Secret: how it is read and written; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from provider.trust.errors import SecretCorrupt

if TYPE_CHECKING:
    from collections.abc import Mapping

_Document = TypeVar("_Document", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretDocument(Generic[_Document]):
    """Where a document is kept.

    Attributes:
        kept_in: The Secret's name, for messages.
        field: The field of its data.
        type: What stands in the field as JSON; made without arguments it is the empty document.
    """

    kept_in: str
    field: str
    type: type[_Document]

    def decode(self, data: Mapping[str, bytes]) -> _Document:
        """Read the document from the Secret's data; a Secret without the field has an empty one.

        Raises:
            SecretCorrupt: The field is no such document.
        """
        text = data.get(self.field, b"")
        if not text:
            return self.type()
        try:
            return msgspec.json.decode(text, type=self.type)
        except msgspec.DecodeError as exc:
            raise SecretCorrupt(
                f"{self.field} of the Secret {self.kept_in} cannot be read ({exc}); "
                "nothing was changed"
            ) from exc

    def encode(self, data: Mapping[str, bytes], document: _Document) -> dict[str, bytes]:
        """Return the Secret's data with this document in it."""
        return {**data, self.field: msgspec.json.encode(document)}

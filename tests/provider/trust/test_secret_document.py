"""A Secret's field is read as what was written, and never guessed at."""

from __future__ import annotations

import msgspec
import pytest

from provider.trust.errors import SecretCorrupt
from provider.trust.secret_document import SecretDocument


class _Names(msgspec.Struct, frozen=True, kw_only=True):
    names: tuple[str, ...] = ()


_DOCUMENT = SecretDocument(kept_in="edgelet-names", field="names.json", type=_Names)


def test_what_is_written_is_read_and_other_fields_stay() -> None:
    """Others may keep notes of their own in the Secret."""
    data = _DOCUMENT.encode({"note": b"mine"}, _Names(names=("a", "b")))
    assert data["note"] == b"mine"
    assert _DOCUMENT.decode(data) == _Names(names=("a", "b"))


@pytest.mark.parametrize("data", [{}, {"names.json": b""}, {"note": b"mine"}])
def test_a_secret_without_the_field_has_an_empty_document(data: dict[str, bytes]) -> None:
    """The first start finds it so."""
    assert _DOCUMENT.decode(data) == _Names()


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"names": 1}', b"\xff"])
def test_another_content_is_refused_by_name(text: bytes) -> None:
    """The message says where to look."""
    said = r"^names\.json of the Secret edgelet-names cannot be read \(.*\); nothing was changed$"
    with pytest.raises(SecretCorrupt, match=said):
        _DOCUMENT.decode({"names.json": text})

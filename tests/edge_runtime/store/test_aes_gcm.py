"""AES-256-GCM is what everyone else's is, by whichever OpenSSL."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.store.aes_gcm import (
    Aead,
    NotAuthentic,
    OpensslAead,
    PackageAead,
    _openssl,
    open_aead,
)

KEY = bytes(range(32))
NONCE = bytes(range(12))


def _by_openssl(key: bytes) -> Aead:
    return OpensslAead(key, _openssl())


BOTH = pytest.mark.parametrize("make", [_by_openssl, PackageAead])


def test_python_s_own_openssl_is_used_here() -> None:
    """Or the memory that it is to save would be taken unnoticed."""
    assert isinstance(open_aead(KEY), OpensslAead)


@BOTH
@pytest.mark.parametrize(
    ("key", "nonce", "plain", "bound_to", "sealed"),
    [
        # The GCM specification's test cases 13, 14 and 16 (McGrew and Viega, appendix B).
        ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            "00" * 32,
            "00" * 12,
            "00" * 16,
            "",
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ],
)
def test_vectors_of_the_specification(
    make: type[PackageAead], key: str, nonce: str, plain: str, bound_to: str, sealed: str
) -> None:
    """Both ways."""
    aead = make(bytes.fromhex(key))
    given = {"nonce": bytes.fromhex(nonce), "bound_to": bytes.fromhex(bound_to)}
    assert aead.encrypt(plain=bytes.fromhex(plain), **given).hex() == sealed
    assert aead.decrypt(sealed=bytes.fromhex(sealed), **given).hex() == plain


@given(
    plain=st.binary(max_size=5000),
    bound_to=st.binary(max_size=100),
    nonce=st.binary(min_size=12, max_size=12),
)
def test_what_one_seals_the_other_opens(plain: bytes, bound_to: bytes, nonce: bytes) -> None:
    """A database may move to an edge that is built otherwise."""
    sealed = _by_openssl(KEY).encrypt(nonce=nonce, plain=plain, bound_to=bound_to)
    assert sealed == AESGCM(KEY).encrypt(nonce, plain, bound_to)
    assert _by_openssl(KEY).decrypt(nonce=nonce, sealed=sealed, bound_to=bound_to) == plain


@BOTH
@given(place=st.integers(min_value=0, max_value=1000), bit=st.integers(min_value=0, max_value=7))
def test_any_bit_that_changes_is_noticed(make: type[PackageAead], place: int, bit: int) -> None:
    """In ciphertext and tag alike; no plaintext comes out."""
    aead = make(KEY)
    sealed = bytearray(aead.encrypt(nonce=NONCE, plain=b"a secret", bound_to=b"row"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(NotAuthentic):
        aead.decrypt(nonce=NONCE, sealed=bytes(sealed), bound_to=b"row")


@BOTH
def test_another_key_nonce_or_binding_opens_nothing(make: type[PackageAead]) -> None:
    """Nor does what is too short to have a tag."""
    sealed = make(KEY).encrypt(nonce=NONCE, plain=b"a secret", bound_to=b"row")
    with pytest.raises(NotAuthentic):
        make(bytes(32)).decrypt(nonce=NONCE, sealed=sealed, bound_to=b"row")
    with pytest.raises(NotAuthentic):
        make(KEY).decrypt(nonce=bytes(12), sealed=sealed, bound_to=b"row")
    with pytest.raises(NotAuthentic):
        make(KEY).decrypt(nonce=NONCE, sealed=sealed, bound_to=b"other")
    with pytest.raises(NotAuthentic):
        make(KEY).decrypt(nonce=NONCE, sealed=sealed[:15], bound_to=b"row")

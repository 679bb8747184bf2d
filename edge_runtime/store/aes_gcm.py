"""AES-256-GCM by the OpenSSL that Python's own ssl module runs on, which is in memory already.

The cryptography package brings an OpenSSL of its own: 8 MiB that would stay for as long as the edge
runs. It serves where Python's has no symbols to be called, as in statically linked interpreters.

Source: NIST SP 800-38D; EVP_EncryptInit(3).
"""

from __future__ import annotations

import ctypes
from typing import Protocol

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_GET_TAG = 0x10
_SET_TAG = 0x11
_DECRYPT = 0
_ENCRYPT = 1


class NotAuthentic(Exception):
    """The ciphertext, its nonce, or what it is bound to, is not what was encrypted."""


class Aead(Protocol):
    """Authenticated encryption under one key; callable from any thread."""

    def encrypt(self, *, nonce: bytes, plain: bytes, bound_to: bytes) -> bytes:
        """Return the ciphertext with its tag at the end; the nonce MUST never have been used."""
        ...

    def decrypt(self, *, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        """Return the plaintext.

        Raises:
            NotAuthentic: It was not encrypted with this key, nonce and ``bound_to``.
        """
        ...


def open_aead(key: bytes) -> Aead:
    """Return AES-256-GCM under a key of KEY_BYTES."""
    if len(key) != KEY_BYTES:
        raise AssertionError(f"the key has {len(key)} bytes")
    try:
        return OpensslAead(key, _openssl())
    except (ImportError, OSError, AttributeError):
        return PackageAead(key)


class PackageAead:
    """By the cryptography package."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)

    def encrypt(self, *, nonce: bytes, plain: bytes, bound_to: bytes) -> bytes:
        """As `Aead.encrypt`."""
        return self._cipher.encrypt(nonce, plain, bound_to)

    def decrypt(self, *, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        """As `Aead.decrypt`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(nonce, sealed, bound_to)
        except InvalidTag as exc:
            raise NotAuthentic from exc


class OpensslAead:
    """By OpenSSL's EVP functions."""

    def __init__(self, key: bytes, openssl: ctypes.CDLL) -> None:
        self._key = key
        self._openssl = openssl

    def encrypt(self, *, nonce: bytes, plain: bytes, bound_to: bytes) -> bytes:
        """As `Aead.encrypt`."""
        context = self._begin(_ENCRYPT, nonce, bound_to)
        try:
            sealed = self._update(context, plain)
            self._finish(context)
            tag = ctypes.create_string_buffer(TAG_BYTES)
            self._must(self._openssl.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, TAG_BYTES, tag))
            return sealed + tag.raw
        finally:
            self._openssl.EVP_CIPHER_CTX_free(context)

    def decrypt(self, *, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        """As `Aead.decrypt`."""
        if len(sealed) < TAG_BYTES:
            raise NotAuthentic
        context = self._begin(_DECRYPT, nonce, bound_to)
        try:
            plain = self._update(context, sealed[:-TAG_BYTES])
            tag = ctypes.create_string_buffer(sealed[-TAG_BYTES:], TAG_BYTES)
            self._must(self._openssl.EVP_CIPHER_CTX_ctrl(context, _SET_TAG, TAG_BYTES, tag))
            # MUST stand between the plaintext and whoever gets it: only this looks at the tag.
            if not self._finish(context):
                raise NotAuthentic
            return plain
        finally:
            self._openssl.EVP_CIPHER_CTX_free(context)

    def _begin(self, direction: int, nonce: bytes, bound_to: bytes) -> ctypes.c_void_p:
        if len(nonce) != NONCE_BYTES:
            raise AssertionError(f"the nonce has {len(nonce)} bytes")
        context = ctypes.c_void_p(self._openssl.EVP_CIPHER_CTX_new())
        self._must(context.value)
        try:
            cipher = ctypes.c_void_p(self._openssl.EVP_aes_256_gcm())
            self._must(
                self._openssl.EVP_CipherInit_ex(context, cipher, None, self._key, nonce, direction)
            )
            length = ctypes.c_int()
            self._must(
                self._openssl.EVP_CipherUpdate(
                    context, None, ctypes.byref(length), bound_to, len(bound_to)
                )
            )
        except BaseException:
            self._openssl.EVP_CIPHER_CTX_free(context)
            raise
        return context

    def _update(self, context: ctypes.c_void_p, data: bytes) -> bytes:
        """Pass the data through; GCM is a stream cipher, so nothing is held back."""
        if not data:
            return b""
        length, out = ctypes.c_int(), ctypes.create_string_buffer(len(data))
        self._must(
            self._openssl.EVP_CipherUpdate(context, out, ctypes.byref(length), data, len(data))
        )
        return out.raw[: length.value]

    def _finish(self, context: ctypes.c_void_p) -> bool:
        length, rest = ctypes.c_int(), ctypes.create_string_buffer(TAG_BYTES)
        return bool(self._openssl.EVP_CipherFinal_ex(context, rest, ctypes.byref(length)) == 1)

    def _must(self, result: object) -> None:
        if not result:
            raise AssertionError("OpenSSL refuses AES-256-GCM")


def _openssl() -> ctypes.CDLL:
    """Return the OpenSSL below Python, with the types of what is called of it.

    Raises:
        ImportError: Python has none.
        AttributeError: Its symbols are not to be had.
        OSError: It cannot be opened as a library.
    """
    import _hashlib

    # Looking a symbol up in the extension module looks through the libraries that it is linked to.
    library = ctypes.CDLL(_hashlib.__file__)
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    types: dict[str, tuple[object, list[object]]] = {
        "EVP_CIPHER_CTX_new": (pointer, []),
        "EVP_CIPHER_CTX_free": (None, [pointer]),
        "EVP_CIPHER_CTX_ctrl": (number, [pointer, number, number, pointer]),
        "EVP_aes_256_gcm": (pointer, []),
        "EVP_CipherInit_ex": (number, [pointer, pointer, pointer, text, text, number]),
        "EVP_CipherUpdate": (number, [pointer, pointer, pointer, text, number]),
        "EVP_CipherFinal_ex": (number, [pointer, pointer, pointer]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library

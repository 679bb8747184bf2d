"""The edge's identity on disk, written so that a power cut leaves the old one or the new one.

    <rootDirectory>/identity/      0700
        identity.pem     key and certificate, in one file: they can never be of different ages
        ca.crt           the CAs by which the provider is known
        site.json        the site, and the provider's address at the join
        pending.key      the key of a request that is under way

The laws of the order, each of which a test cuts the power at:
 1. pending.key is on disk BEFORE its request is sent. A lost answer is asked for again with the
    same key, and a provider that has counted the token as used gives the certificate again.
 2. ca.crt and site.json are on disk BEFORE identity.pem has its name: whoever sees the new
    certificate sees the CAs that came with it. (The CAs of a renewal accept both certificates.)
 3. pending.key goes only after identity.pem is on disk; a copy that stays behind is known by being
    a part of identity.pem.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.uplink.credentials import Credentials, CredentialsError, read_certificate
from edge_runtime.uplink.durable_files import FOLDER_MODE, DurableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunnel.enrolment import IssuedCertificate
    from tunnel.identity import SiteName

FOLDER_NAME = "identity"
MAX_FILE_BYTES = 1 << 20
_NEW_SUFFIX = ".new"


class IdentityFolderError(Exception):
    """The folder cannot be read or written; one sentence that names the file."""


class JoinedSite(msgspec.Struct, frozen=True, kw_only=True):
    """What ``site.json`` holds.

    Attributes:
        site: The site that was joined.
        server: ``HOST:PORT`` of the provider at that time.
        token: A part of the hash of the token's JWT; the same token joins the same machine again
            without harm. "" where it is not known.
    """

    site: str
    server: str
    token: str = ""


class IdentityFiles:
    """One edge's identity folder.

    Args:
        root: The edge's rootDirectory.
        files: How files are touched.
    """

    def __init__(self, root: Path, *, files: DurableFiles | None = None) -> None:
        self.folder = root / FOLDER_NAME
        self.identity_file = self.folder / "identity.pem"
        self.ca_file = self.folder / "ca.crt"
        self.site_file = self.folder / "site.json"
        self.pending_file = self.folder / "pending.key"
        self._files = files or DurableFiles()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is missing, and keep a join and a renewal out of each other's way.

        Raises:
            IdentityFolderError: It cannot be made, or another process holds it.
        """
        with self._explained(self.folder):
            self._make_folders()
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise IdentityFolderError(
                    f"another process joins or renews in {self.folder}: try again in a minute"
                ) from exc
            yield
        finally:
            os.close(descriptor)

    def has_identity(self) -> bool:
        """Whether a join has been completed here, whatever became of it."""
        with self._explained(self.identity_file):
            return self.identity_file.exists()

    def credentials(self, *, site: SiteName | None = None) -> Credentials:
        """Check what is there and return it, to be used for dials.

        Args:
            site: Whose it must be; None for whichever it is.

        Raises:
            CredentialsError: There is none, or it cannot be used.
        """
        facts = read_certificate(identity_file=str(self.identity_file), ca_file=str(self.ca_file))
        held = Credentials(
            site=site or facts.site,
            ca_file=str(self.ca_file),
            identity_file=str(self.identity_file),
        )
        held.facts()
        return held

    def read_identity(self) -> bytes:
        """Return key and certificate, PEM."""
        return self._read(self.identity_file) or b""

    def joined_site(self) -> JoinedSite | None:
        """Return what was noted at the join.

        Raises:
            IdentityFolderError: It cannot be read.
        """
        text = self._read(self.site_file)
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=JoinedSite)
        except msgspec.DecodeError as exc:
            raise IdentityFolderError(f"{self.site_file} is damaged: {exc}") from exc

    # The key of a request that is under way.

    def pending_key(self) -> bytes | None:
        """Return it, PEM, with the note that ``keep_pending`` put before it."""
        return self._read(self.pending_file)

    def keep_pending(self, key_pem: bytes, *, note: str) -> None:
        """Write it to the disk, with a note for what it is; only then may it be used."""
        with self._explained(self.pending_file):
            self._write_new(self.pending_file, b"# " + note.encode() + b"\n" + key_pem)
            self._adopt(self.pending_file)
            self._files.sync_folder(self.folder)

    def drop_pending(self) -> None:
        """Forget it."""
        with self._explained(self.pending_file):
            if self.pending_file.exists():
                self._files.unlink(self.pending_file)
                self._files.sync_folder(self.folder)

    # A new certificate.

    def keep(
        self, key_pem: bytes, issued: IssuedCertificate, *, joined: JoinedSite | None = None
    ) -> None:
        """Replace key, certificate and CAs, after a look at whether they are any good.

        Args:
            key_pem: What the certificate is for.
            issued: What the provider gave.
            joined: What to note of a join; None leaves the note of the last one.

        Raises:
            CredentialsError: The certificate is of another key, or is not what a provider gives;
                nothing was changed.
            IdentityFolderError: The folder cannot be written.
        """
        identity = _with_end_of_line(key_pem) + _with_end_of_line(issued.certificate.encode())
        with self._explained(self.folder):
            self._write_new(self.ca_file, issued.authorities.encode())
            self._write_new(self.identity_file, identity)
            self._check_new()
            self._adopt(self.ca_file)
            if joined is not None:
                self._write_new(self.site_file, msgspec.json.encode(joined) + b"\n")
                self._adopt(self.site_file)
            self._files.sync_folder(self.folder)
            self._adopt(self.identity_file)
            self._files.sync_folder(self.folder)

    def _check_new(self) -> None:
        new_identity, new_ca = _new(self.identity_file), _new(self.ca_file)
        try:
            read_certificate(identity_file=str(new_identity), ca_file=str(new_ca))
        except CredentialsError:
            for path in (new_identity, new_ca):
                self._files.unlink(path)
            raise

    def _make_folders(self) -> None:
        missing = [self.folder]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        if self.folder.exists():
            missing = []
            # A folder that somebody else made, perhaps while unpacking a backup.
            if self.folder.stat().st_mode & 0o077:
                self.folder.chmod(FOLDER_MODE)
        for path in reversed(missing):
            self._files.make_folder(path)
            self._files.sync_folder(path.parent)

    def _write_new(self, path: Path, data: bytes) -> None:
        self._files.write(_new(path), data)
        self._files.sync(_new(path))

    def _adopt(self, path: Path) -> None:
        self._files.rename(_new(path), path)

    def _read(self, path: Path) -> bytes | None:
        with self._explained(path):
            try:
                with path.open("rb") as file:
                    return file.read(MAX_FILE_BYTES)
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise IdentityFolderError(
                f"cannot use {exc.filename or path}: {exc.strerror or exc}"
            ) from exc


def without_note(pending: bytes) -> bytes:
    """Return the key alone of what ``keep_pending`` wrote."""
    return pending[max(pending.find(b"-----BEGIN"), 0) :]


def _new(path: Path) -> Path:
    return path.with_name(path.name + _NEW_SUFFIX)


def _with_end_of_line(pem: bytes) -> bytes:
    return pem if pem.endswith(b"\n") else pem + b"\n"

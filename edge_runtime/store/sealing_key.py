"""Where the key of sealed values is kept: a file that only root reads, or one that the TPM opens.

Source: systemd-creds(1); a credential of type ``tpm2`` is opened by the TPM that made it, while the
PCRs that it names are as they were.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_runtime.store.aes_gcm import KEY_BYTES
from edge_runtime.store.errors import StoreError
from edge_runtime.store.sealing import make_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.sealing_config import SealingKeyConfig

logger = logging.getLogger(__name__)

KEY_FILE_NAME = "sealing.key"
CREDENTIAL_FILE_NAME = "sealing-key.cred"
_MODE = 0o600
_MAX_BYTES = 1 << 16
# A TPM answers within a second; one that is asked by others, too, within a few.
_TPM_TIMEOUT_S = 30.0
_CREDENTIAL_NAME = "edgelet-sealing-key"


class SealingKeyError(StoreError):
    """The key cannot be had or kept; one sentence that names its file."""


class KeySource(Protocol):
    """A place for one key; every call blocks."""

    @property
    def path(self) -> Path:
        """The file that it is in."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether one that is missing is not replaced once it has sealed something."""
        ...

    def read(self) -> bytes | None:
        """Return the key; None when there is no file.

        Raises:
            SealingKeyError: There is one, but no key can be had from it.
        """
        ...

    def make(self) -> bytes:
        """Return a new key that is on disk already.

        Raises:
            SealingKeyError: It cannot be kept.
        """
        ...


class FileKey:
    """A key in a file: who reads the file has the key.

    Args:
        path: The file.
        is_awaited: As `KeySource.is_awaited`.
    """

    def __init__(self, path: Path, *, is_awaited: bool = False) -> None:
        self.path = path
        self.is_awaited = is_awaited

    def read(self) -> bytes | None:
        """As `KeySource.read`; a file that others may read is closed to them."""
        text = _read(self.path)
        if text is None:
            return None
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SealingKeyError(
                f"{self.path} holds no sealing key: put the right one back,"
                f" or {way_to_a_new_key(self)}"
            )
        return key

    def make(self) -> bytes:
        """As `KeySource.make`."""
        key = make_key()
        _write(self.path, base64.b64encode(key) + b"\n")
        return key


class TpmKey:
    """A key that is on disk only as what this machine's TPM 2.0 opens.

    Args:
        path: The file.
        device: As systemd-creds takes it; "" for the one that the kernel offers.
        pcrs: What a new key is bound to.
        is_awaited: As `KeySource.is_awaited`.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "",
        pcrs: Sequence[int] = (7,),
        is_awaited: bool = False,
    ) -> None:
        self.path = path
        self.is_awaited = is_awaited
        self._device = f"--tpm2-device={device or 'auto'}"
        self._pcrs = "--tpm2-pcrs=" + "+".join(str(each) for each in pcrs)

    def read(self) -> bytes | None:
        """As `KeySource.read`."""
        credential = _read(self.path)
        if credential is None:
            return None
        key = self._run("decrypt", stdin=credential)
        if len(key) != KEY_BYTES:
            raise SealingKeyError(
                f"{self.path} holds no sealing key: put the right one back,"
                f" or {way_to_a_new_key(self)}"
            )
        return key

    def make(self) -> bytes:
        """As `KeySource.make`; the key itself never touches the disk."""
        key = make_key()
        _write(self.path, self._run("encrypt", "--with-key=tpm2", self._pcrs, stdin=key))
        return key

    def _run(self, verb: str, *options: str, stdin: bytes) -> bytes:
        # Only here: most edges have no need of it.
        import subprocess

        command = ["systemd-creds", verb, f"--name={_CREDENTIAL_NAME}", self._device, *options]
        try:
            done = subprocess.run(
                [*command, "-", "-"],
                input=stdin,
                capture_output=True,
                timeout=_TPM_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as exc:
            raise SealingKeyError(
                "sealingKey.source is tpm2, but there is no systemd-creds on this machine"
            ) from exc
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise SealingKeyError(f"systemd-creds {verb} {self.path}: {exc}") from exc
        if done.returncode != 0:
            raise self._refused(verb, done.stderr)
        return done.stdout

    def _refused(self, verb: str, errors: bytes) -> SealingKeyError:
        lines = errors.decode(errors="replace").strip().splitlines()
        reason = "".join(c if c.isprintable() else " " for c in (lines or ["no reason"])[-1])[:300]
        if verb == "encrypt":
            return SealingKeyError(f"the TPM makes no sealing key for {self.path}: {reason}")
        return SealingKeyError(
            f"the TPM does not open the sealing key {self.path}: {reason}; it is another machine's,"
            f" or what it is bound to has changed: {way_to_a_new_key(self)}"
        )


def way_to_a_new_key(source: KeySource) -> str:
    """Say what to do where the key is lost for good."""
    act = "leave out sealingKey.file" if source.is_awaited else "move the file away"
    return f"{act} to start with a new one (Secrets and tokens come again from the cloud)"


def key_sources(config: SealingKeyConfig, *, root: Path) -> tuple[KeySource, ...]:
    """Return the configured place for the key, then where it may have been before.

    A file that was named may be on a disk that is not mounted yet, so it is awaited.

    Args:
        config: What is configured.
        root: The edge's rootDirectory.
    """
    file, credential = root / KEY_FILE_NAME, root / CREDENTIAL_FILE_NAME
    device, pcrs = config.tpm2_device, config.tpm2_pcrs
    named, is_named = Path(config.file), bool(config.file)
    if config.source == "file":
        configured: KeySource = FileKey(named if is_named else file, is_awaited=is_named)
    else:
        path = named if is_named else credential
        configured = TpmKey(path, device=device, pcrs=pcrs, is_awaited=is_named)
    earlier: tuple[KeySource, ...] = (FileKey(file), TpmKey(credential, device=device, pcrs=pcrs))
    return (configured, *(each for each in earlier if each.path != configured.path))


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & 0o077:
                # As after a backup was unpacked.
                logger.warning("others could read the sealing key", extra={"file": str(path)})
                os.fchmod(descriptor, _MODE)
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SealingKeyError(f"cannot read the sealing key {path}: {exc.strerror}") from exc


def _write(path: Path, data: bytes) -> None:
    """Write a whole new file; after a power cut there is all of it, or none."""
    new = path.with_name(path.name + ".new")
    try:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, _MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise SealingKeyError(f"cannot keep the sealing key {path}: {exc.strerror}") from exc

"""A page as a browser shows it: headless Chromium, once per page, in a profile of its own."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 60
# As root, without anything that asks the internet for something.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_PNG = b"\x89PNG\r\n\x1a\n"


def chromium() -> str:
    """Return the browser's path; skip the test on a machine without one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("Chromium is not installed: run `make deps`, or install Debian's chromium")
    return found


def rendered(url: str) -> str:
    """Return the document as the browser has it once it is loaded."""
    return _run(url, "--dump-dom").decode()


def screenshot(url: str, file: Path, *, width: int = 1100, height: int = 900) -> tuple[int, int]:
    """Write what the browser shows to a PNG file.

    Returns:
        Width and height of the picture in pixels.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    _run(url, f"--window-size={width},{height}", f"--screenshot={file}")
    head = file.read_bytes()[:24]
    assert head.startswith(_PNG), f"{file} is no PNG"
    size: tuple[int, int] = struct.unpack(">II", head[16:24])
    return size


def _run(url: str, *arguments: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edgelet-browser-") as profile:
        done = subprocess.run(
            [chromium(), *_FLAGS, f"--user-data-dir={profile}", *arguments, url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout

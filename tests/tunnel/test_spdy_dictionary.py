"""The dictionary is a constant: it equals the one of the library that Kubernetes uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from tunnel.spdy_dictionary import SPDY_DICTIONARY

MODULE = "github.com/moby/spdystream@v0.5.1"


def test_dictionary_has_the_length_and_checksum_of_the_protocol() -> None:
    """A slip in the data shows without any network."""
    assert len(SPDY_DICTIONARY) == 1423
    # The Adler-32 of the dictionary is what a zlib stream names it by (RFC 1950 DICTID).
    assert zlib.compressobj(zdict=SPDY_DICTIONARY).flush()[2:6] == zlib.adler32(
        SPDY_DICTIONARY
    ).to_bytes(4, "big")
    assert zlib.adler32(SPDY_DICTIONARY) == 0xE3C6A7C2


def test_dictionary_equals_the_one_of_spdystream() -> None:
    """A client of Kubernetes compresses with exactly these bytes."""
    if shutil.which("go") is None:
        pytest.skip("no go command")
    result = subprocess.run(
        ["go", "mod", "download", "-json", MODULE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    if result.returncode != 0:
        pytest.skip(f"{MODULE} cannot be had: {result.stderr.strip()[:200]}")
    folder = Path(json.loads(result.stdout)["Dir"])
    source = (folder / "spdy" / "dictionary.go").read_text()
    digits = re.findall(r"0x([0-9a-f]{2})", source.partition("headerDictionary = ")[2])
    assert bytes(int(pair, 16) for pair in digits) == SPDY_DICTIONARY

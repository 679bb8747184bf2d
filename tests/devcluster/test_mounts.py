"""Mount tables."""

from __future__ import annotations

from pathlib import Path

from devcluster.mounts import mounts_below

TABLE = r"""25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 254:0 /c/site /c/site rw,relatime shared:1 - ext4 /dev/vda rw
31 30 0:40 / /c/site/a rw - tmpfs tmpfs rw
32 31 0:41 / /c/site/a/deep\040one rw - tmpfs tmpfs rw
33 25 0:42 / /c/site-b rw - tmpfs tmpfs rw
34 31 0:43 / /c/site/a rw - overlay overlay rw
"""


def test_mounts_come_in_the_order_to_unmount() -> None:
    """The deepest first; what only shares the start of its name is left alone."""
    assert mounts_below(Path("/c/site"), mountinfo=TABLE) == [
        Path("/c/site/a/deep one"),
        Path("/c/site/a"),
        Path("/c/site/a"),
        Path("/c/site"),
    ]


def test_folder_without_mounts_has_none() -> None:
    """The mount that a folder lives on is not below it."""
    assert mounts_below(Path("/c"), mountinfo=TABLE.splitlines()[0]) == []

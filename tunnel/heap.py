"""The process's heap: what was freed a moment ago stays, since the next messages need it again.

glibc gives the free end of its heap back to the kernel from 128 KiB on. A tunnel at full speed
takes and frees about a megabyte each turn of the event loop, and pays a page fault for every 4 KiB
that it takes anew: two to four for each 64 KiB, a tenth of all its time. glibc learns better only
once a large enough block has been freed, so some processes were slow for all their life.

Source: mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
"""

from __future__ import annotations

import ctypes

# What may stay free at the end of the heap. Twice what one turn takes; it is the price in memory.
KEPT_BYTES = 2 << 20
# Larger blocks are the kernel's: they come and go one by one, and nothing below them is kept.
LARGE_BLOCK_BYTES = 1 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Keep up to KEPT_BYTES of freed memory in this process; may be called again.

    Returns:
        Whether the C library can; one that cannot (musl) has a heap of another kind.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    keeps_blocks = mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
    keeps_end = mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(keeps_blocks and keeps_end)

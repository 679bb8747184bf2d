"""How fast the link takes what this end sends, and how much may wait unsent below HTTP/2.

What waits in the kernel goes before a keystroke that is typed now. A fixed bound is too little for
a fast link or milliseconds on a slow one, so the bound is a time: what the link takes in three
milliseconds, between 16 KiB, one turn, and 64 KiB.
"""

from __future__ import annotations

MAX_UNSENT_BYTES = 64 << 10
MIN_UNSENT_BYTES = 16 << 10
UNSENT_S = 0.003
# A sample of the rate: so long and so much at least. Less would measure clocks and single ACKs.
SAMPLE_S = 0.02
SAMPLE_BYTES = 64 << 10


def compute_unsent_limit(bytes_per_s: float) -> int:
    """Return how many bytes may wait unsent at this rate."""
    return max(MIN_UNSENT_BYTES, min(MAX_UNSENT_BYTES, int(bytes_per_s * UNSENT_S)))


class SendRate:
    """Measures a rate by what the peer acknowledges while there is always more to acknowledge.

    Attributes:
        unsent_limit_bytes: How much may wait unsent; the most until a first sample says otherwise.
    """

    def __init__(self) -> None:
        self.unsent_limit_bytes = MAX_UNSENT_BYTES
        self._began: tuple[float, int] | None = None

    def restart(self) -> None:
        """Forget what was measured: it was another connection."""
        self.unsent_limit_bytes = MAX_UNSENT_BYTES
        self._began = None

    def acknowledged(self, *, acknowledged_bytes: int, sent_bytes: int, now: float) -> None:
        """Take an ACK.

        Args:
            acknowledged_bytes: Its count.
            sent_bytes: What was sent until now; as much means that the link had nothing to do, and
                then time says nothing about it.
            now: On the caller's clock.
        """
        if acknowledged_bytes >= sent_bytes:
            self._began = None
            return
        if self._began is None:
            self._began = now, acknowledged_bytes
            return
        began_at, began_bytes = self._began
        elapsed_s, size = now - began_at, acknowledged_bytes - began_bytes
        if elapsed_s < SAMPLE_S or size < SAMPLE_BYTES:
            return
        self.unsent_limit_bytes = compute_unsent_limit(size / elapsed_s)
        self._began = now, acknowledged_bytes

"""What goes wrong with service account tokens."""

from __future__ import annotations


class TokenUnavailable(Exception):
    """There is no token to give; the text says why, in the API server's words where it refused."""

"""Errors of the store.

StoreError
├── StoreDamaged    the file cannot be read as what we wrote; only a person can decide what to do
└── StoreInUse      another process holds the file
"""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot read or write; what was not confirmed is not kept."""


class StoreDamaged(StoreError):
    """The file is no database of ours, or a damaged one. It is left as it is."""


class StoreInUse(StoreError):
    """Another edgelet works on the same file."""

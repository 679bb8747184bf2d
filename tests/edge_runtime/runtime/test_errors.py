"""Failed calls of the runtime, as messages tell of them."""

from __future__ import annotations

from edge_runtime.runtime.errors import NotFound, UnknownFailure, rpc_error_text


def test_failed_calls() -> None:
    """The code by Go's name; whatever has none is Unknown."""
    found = rpc_error_text(NotFound(method="ExecSync", message="no such task"))
    assert found == "rpc error: code = NotFound desc = no such task"
    found = rpc_error_text(UnknownFailure(method="ExecSync", message="x"))
    assert found == "rpc error: code = Unknown desc = x"

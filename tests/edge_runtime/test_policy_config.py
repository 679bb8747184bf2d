"""The owner's part of the configuration: what it says, and what it refuses to mean."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_runtime.policy_config import (
    AuditLogConfig,
    Forbiddable,
    PolicyConfig,
    audit_log_problem,
    policy_problem,
)


def test_policy_is_read_from_camel_case() -> None:
    """Lists that are absent differ from lists that are empty."""
    document = {
        "forbid": ["exec", "hostPID"],
        "allowedHostPaths": [],
        "deniedNamespaces": ["kube-system"],
    }

    config = msgspec.convert(document, PolicyConfig)

    assert config.forbid == (Forbiddable.EXEC, Forbiddable.HOST_PID)
    assert (config.allowed_host_paths, config.allowed_namespaces) == ((), None)
    assert config.denied_namespaces == ("kube-system",)
    assert policy_problem(config) is None


@pytest.mark.parametrize(
    "document", [{"forbid": ["exek"]}, {"forbids": ["exec"]}, {"forbid": "exec"}]
)
def test_misspelt_policy_is_an_error(document: dict[str, Any]) -> None:
    """It would leave open what its owner believes closed."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, PolicyConfig)


@pytest.mark.parametrize("path", ["var", "/var/../etc", ""])
def test_folder_must_be_absolute_and_climb_nowhere(path: str) -> None:
    """It is compared name by name."""
    problem = policy_problem(PolicyConfig(allowed_host_paths=("/ok", path)))

    assert problem == f"policy.allowedHostPaths: {path!r} is no absolute path without '..'"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, None),
        ({"file": "a.log"}, "auditLog.file: 'a.log' is no absolute path"),
        ({"max_bytes": 100}, "auditLog.maxBytes: must be at least 65536"),
        ({"max_files": -1}, "auditLog.maxFiles: must be 0 to 100"),
        ({"max_files": 101}, "auditLog.maxFiles: must be 0 to 100"),
    ],
)
def test_audit_log_that_makes_no_sense(fields: dict[str, Any], problem: str | None) -> None:
    """Each after its field's name."""
    assert audit_log_problem(AuditLogConfig(**fields)) == problem

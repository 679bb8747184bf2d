"""A vulnerability fails the check, a service that cannot be asked does not, and is told from it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

FILE = Path(__file__).resolve().parents[1] / ".ci" / "dependency_audit.py"
CLEAN = {"name": "cryptography", "version": "1", "vulns": []}
SKIPPED = {"name": "cryptography", "skip_reason": "not found"}
VULNERABLE = {
    "name": "evil",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": [], "description": ""}],
}


@pytest.fixture
def module() -> ModuleType:
    """Load the script."""
    spec = importlib.util.spec_from_file_location("dependency_audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def fake_pip_audit(
    folder: Path,
    *,
    probe: object,
    rest: object,
    stderr: str = "",
) -> Path:
    """Write an interpreter that answers as pip-audit does, first for one package, then for all."""
    answers = [
        json.dumps({"dependencies": each}) if each is not None else "" for each in (probe, rest)
    ]
    program = folder / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"answers = {answers!r}\n"
        "sys.stdout.write(answers[any('requirements.lock' in each for each in sys.argv)])\n"
        f"sys.stderr.write({stderr!r})\n"
        "sys.exit(1)\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("probe", "rest", "stderr", "status", "text"),
    [
        ([CLEAN], [CLEAN, CLEAN], "", 0, "2 dependencies, no known vulnerability"),
        ([CLEAN], [CLEAN, VULNERABLE], "", 1, "evil 2 has PYSEC-1, fixed in 3"),
        ([CLEAN], [CLEAN, SKIPPED], "", 1, "cryptography was not looked up: not found"),
        ([SKIPPED], None, "", 0, "nobody could be asked for vulnerabilities: the package index"),
        (None, None, "ConnectionError: Max retries", 0, "nobody could be asked"),
        (None, None, "Traceback: KeyError", 1, "Traceback: KeyError"),
    ],
)
def test_what_fails_the_check(
    module: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    probe: object,
    rest: object,
    stderr: str,
    status: int,
    text: str,
) -> None:
    """In one line each."""
    program = fake_pip_audit(tmp_path, probe=probe, rest=rest, stderr=stderr)
    monkeypatch.setattr(sys, "executable", str(program))

    assert module.main() == status

    said = capsys.readouterr()
    assert text in said.out + said.err
    assert len((said.out + said.err).splitlines()) == 1

"""Ask whether a locked dependency has a known vulnerability; part of ``make check``.

Exit status 0: none has, or nobody could be asked, which is said in one line. 1: one has, or the
question itself failed. A package index that is only a mirror answers "not found" for every
advisory, and pip-audit takes that for "none known": so one package is asked for first, and when its
advisories cannot be had, that is no clean bill.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
# It is on every index that is one.
PROBE = "cryptography"
TIMEOUT_S = 600
_UNREACHABLE = re.compile(
    r"connection|timed? ?out|max retries|resolve|unreachable|proxy|ssl|HTTPError|ServiceError",
    re.IGNORECASE,
)


class NotAsked(Exception):
    """The advisories cannot be had here; the message says why."""


class AuditFailed(Exception):
    """The question failed for another reason."""


def main() -> int:
    """Ask, tell, and return the exit status."""
    try:
        _ask_for_one()
        dependencies = audit(LOCK)
    except NotAsked as exc:
        print(f"pip-audit: nobody could be asked for vulnerabilities: {exc}")  # noqa: T201
        return 0
    except AuditFailed as exc:
        print(f"pip-audit: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    found = findings(dependencies)
    for line in found:
        print(f"pip-audit: {line}", file=sys.stderr)  # noqa: T201
    if not found:
        print(f"pip-audit: {len(dependencies)} dependencies, no known vulnerability")  # noqa: T201
    return bool(found)


def findings(dependencies: list[dict[str, Any]]) -> list[str]:
    """Return a line for each vulnerability, and for each dependency that was not looked up."""
    lines = []
    for each in dependencies:
        if "skip_reason" in each:
            lines.append(f"{each['name']} was not looked up: {each['skip_reason']}")
        for vulnerability in each.get("vulns") or ():
            fixed = ", ".join(vulnerability.get("fix_versions") or ()) or "no version"
            name = f"{each['name']} {each['version']}"
            lines.append(f"{name} has {vulnerability['id']}, fixed in {fixed}")
    return lines


def audit(requirements: Path) -> list[dict[str, Any]]:
    """Return what is known of each dependency.

    Raises:
        NotAsked: The service cannot be reached.
        AuditFailed: Something else went wrong.
    """
    command = (sys.executable, "-m", "pip_audit", "--requirement", str(requirements))
    options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    done = subprocess.run(
        (*command, *options, "--timeout", "15"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        if _UNREACHABLE.search(done.stderr):
            raise NotAsked(lines[-1][:200]) from None
        raise AuditFailed("\n".join(lines[-5:])) from None
    return dependencies


def _ask_for_one() -> None:
    pin = re.search(rf"^{PROBE}==[^ ;\\]+", LOCK.read_text(), re.MULTILINE)
    if pin is None:
        raise AuditFailed(f"{LOCK.name} has no {PROBE}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(pin[0] + "\n")
        (answer,) = audit(file)
    if "skip_reason" in answer:
        raise NotAsked("the package index here has no advisories")


if __name__ == "__main__":
    sys.exit(main())

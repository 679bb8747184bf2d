"""What manifests/monitoring holds, for the tests of it with and without a Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]
PROJECT_ROOT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT_ROOT / "manifests/monitoring"
DASHBOARD = FOLDER / "edgelet-site.json"
# A selector's name, behind nothing that would make it a label, a function or a duration.
_SERIES = re.compile(r"\b(?:edgelet|process|container|node|pod|machine)_[a-z_]+\b|\bup\b")
_SELECTOR = re.compile(rf"(?:{_SERIES.pattern})(?:\{{[^}}]*\}})?")
_LABELS = re.compile(r"\b(?:by|on|without|ignoring) ?\([^)]*\)")


def load(name: str) -> Json:
    """Return the one object of a file."""
    loaded: Json = yaml.safe_load((FOLDER / name).read_text())
    return loaded


def rule_groups() -> list[Json]:
    """Return the alerts as Prometheus itself has them."""
    groups: list[Json] = load("alerts.yaml")["spec"]["groups"]
    return groups


def alerts() -> dict[str, Json]:
    """Return every alert by name."""
    return {rule["alert"]: rule for group in rule_groups() for rule in group["rules"]}


def dashboard() -> Json:
    """Return Grafana's model."""
    loaded: Json = json.loads(DASHBOARD.read_text())
    return loaded


def dashboard_queries(*, node: str, rate_interval: str) -> dict[str, str]:
    """Return every query by panel and legend, as Grafana sends it.

    Args:
        node: What is chosen as the site.
        rate_interval: What Grafana makes of the scrape interval, at least four of them.
    """
    found = {}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$node", node)
            name = f"{panel['title']}: {target['legendFormat']}"
            assert name not in found, name
            found[name] = text.replace("$__rate_interval", rate_interval)
    return found


def selectors(expression: str) -> set[str]:
    """Return the instant selectors of an expression, each a query of its own."""
    return set(_SELECTOR.findall(_LABELS.sub("", expression)))


def families(expression: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    return {selector.partition("{")[0] for selector in selectors(expression)}


def promtool(*arguments: str, folder: Path | None = None, stdin: str = "") -> str:
    """Run promtool and return what it said; skip the test on a machine without it.

    Args:
        arguments: Its command and what follows.
        folder: Where its files are.
        stdin: What it reads, if it reads anything.

    Raises:
        AssertionError: It found something amiss.
    """
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing: run `make deps`, or install Debian's prometheus")
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

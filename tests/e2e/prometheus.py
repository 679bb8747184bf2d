"""A real Prometheus that scrapes the devcluster as manifests/monitoring says.

Debian's is built without discovery in Kubernetes: it is told what that would find.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.waiting import eventually
from tests.manifests.monitoring import FOLDER, rule_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Json = dict[str, Any]
START_TIMEOUT_S = 60
# Far more often than anybody scrapes, so that rates are there soon.
INTERVAL_S = 1
_IN_POD = "/var/run/secrets/kubernetes.io/serviceaccount/"


class Prometheus:
    """One that runs, on loopback."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log

    def query(self, expression: str) -> list[Json]:
        """Return the vector that an expression evaluates to now.

        Raises:
            AssertionError: It cannot be evaluated.
        """
        answer = self.get("query", query=expression)
        kind = answer["resultType"]
        assert kind == "vector", f"{expression} is a {kind}"
        found: list[Json] = answer["result"]
        return found

    def get(self, what: str, **parameters: str) -> Json:
        """Return the data of one answer of the API.

        Raises:
            AssertionError: Prometheus refuses.
        """
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310
                data: Json = json.load(response)["data"]
                return data
        except urllib.error.HTTPError as refused:
            msg = f"{what} {parameters}: {refused.read().decode(errors='replace')}"
            raise AssertionError(msg) from refused

    def targets(self) -> dict[str, Json]:
        """Return the targets that are scraped, by job and path."""
        active = self.get("targets", state="active")["activeTargets"]
        return {f"{each['labels']['job']} {_path(each)}": each for each in active}

    def log(self) -> str:
        """Return what it logged."""
        return self._log.read_text()


@contextlib.contextmanager
def prometheus(
    folder: Path, *, discovered: Mapping[str, list[Json]], authority: Path, token: str
) -> Iterator[Prometheus]:
    """Run one until the block is left; skip the test on a machine without it.

    Args:
        folder: For its configuration and its data.
        discovered: What discovery in Kubernetes finds, by role, as static configurations.
        authority: Who signed the nodes' certificates.
        token: Whose rights it has.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed: run `make deps`, or install Debian's prometheus")
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token)
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}))
    config = folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump(_config(discovered, authority=authority, token_file=token_file))
    )
    log = folder / "prometheus.log"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield Prometheus(_address(process, log), log)
        finally:
            process.kill()


def _config(discovered: Mapping[str, list[Json]], *, authority: Path, token_file: Path) -> Json:
    """Return the shipped configuration for a Prometheus that runs outside of the cluster."""
    text = (FOLDER / "prometheus.yaml").read_text()
    text = text.replace(f"{_IN_POD}token", str(token_file))
    config: Json = yaml.safe_load(text.replace(f"{_IN_POD}ca.crt", str(authority)))
    config["global"] |= {
        "scrape_interval": f"{INTERVAL_S}s",
        "scrape_timeout": f"{INTERVAL_S}s",
        "evaluation_interval": f"{INTERVAL_S}s",
    }
    config["rule_files"] = ["rules.yaml"]
    for job in config["scrape_configs"]:
        [discovery] = job.pop("kubernetes_sd_configs")
        job["static_configs"] = discovered[discovery["role"]]
    return config


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def found() -> str:
        assert process.poll() is None, log.read_text()
        match = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', log.read_text())
        ready = "Server is ready to receive web requests" in log.read_text()
        return f"http://{match[1]}" if match and ready else ""

    return eventually(found, what="Prometheus is ready", timeout_s=START_TIMEOUT_S)


def _path(target: Json) -> str:
    return urllib.parse.urlsplit(target["scrapeUrl"]).path

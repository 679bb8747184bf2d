"""The machine's own logs through the node proxy: off, and on where it is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.cluster import edge_configured

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster


def test_node_logs_are_shown_where_they_are_configured(cluster: Cluster, tmp_path: Path) -> None:
    """Lists, files, a service's file; nothing that a link leads to."""
    (tmp_path / "log/sub").mkdir(parents=True)
    (tmp_path / "log/sub/deep.log").write_text("deep\n")
    (tmp_path / "log/agent.log").write_text("agent\n")
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "log/link").symlink_to(tmp_path / "secret")
    logs = f"/api/v1/nodes/{cluster.site}/proxy/logs/"
    refused = cluster.kubectl.run("get", "--raw", logs)
    assert refused.status != 0
    # What kubectl makes of 405, which is also a kubelet's answer.
    assert "MethodNotAllowed" in refused.error
    fields = {
        "enableSystemLogHandler": True,
        "enableSystemLogQuery": True,
        "systemLogsDir": str(tmp_path / "log"),
    }
    with edge_configured(cluster, fields):
        listing = cluster.kubectl.ok("get", "--raw", logs)
        assert '<a href="./sub/">sub/</a>' in listing
        assert cluster.kubectl.ok("get", "--raw", f"{logs}sub/deep.log") == "deep\n"
        assert cluster.kubectl.ok("get", "--raw", f"{logs}?query=agent") == "agent\n"
        link = cluster.kubectl.run("get", "--raw", f"{logs}link")
        assert link.status != 0
        assert "secret" not in link.text

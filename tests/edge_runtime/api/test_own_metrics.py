"""/metrics and /metrics/probes, through a real tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.edge_api import EdgeApi, edge_api
from tests.fakes.edge_pods import pod_json
from tests.fakes.tunnel_pair import read_all

if TYPE_CHECKING:
    from pathlib import Path


async def _samples(api: EdgeApi, path: str) -> dict[str, float]:
    """Return all samples of a page by name and sorted labels."""
    stream = await api.pair.request(path)
    head = await stream.response()
    assert head.status == 200
    assert dict(head.headers)["content-type"].startswith("text/plain; version=0.0.4")
    text = (await read_all(stream)).decode()
    return {
        f"{each.name}{sorted(each.labels.items())}": each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


async def test_a_pod_that_was_started_shows(tmp_path: Path) -> None:
    """What it took of the runtime, and how long it took as a whole."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        samples = await _samples(api, "/metrics")
    for operation in ("run_podsandbox", "create_container", "start_container"):
        assert samples[f"kubelet_runtime_operations_total[('operation_type', '{operation}')]"] == 1
    assert samples["kubelet_pod_start_duration_seconds_count[]"] == 1
    assert samples["kubelet_pod_worker_duration_seconds_count[('operation_type', 'sync')]"] >= 1
    assert samples["kubelet_pleg_relist_duration_seconds_count[]"] >= 1
    assert samples["process_resident_memory_bytes[]"] > 0


async def test_probes_have_a_page_of_their_own(tmp_path: Path) -> None:
    """It is empty until there is one."""
    async with edge_api(tmp_path) as api:
        await api.run_pod(pod_json())
        assert await _samples(api, "/metrics/probes") == {}

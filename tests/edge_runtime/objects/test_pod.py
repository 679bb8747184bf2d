"""Views over pod JSON."""

from __future__ import annotations

from datetime import UTC, datetime

from edge_runtime.objects.pod import Pod, parse_time


def test_an_almost_empty_pod_has_every_default() -> None:
    """What the API server leaves out reads as its default."""
    pod = Pod({"metadata": {"uid": "u", "name": "p"}})
    assert (pod.namespace, pod.generation, pod.restart_policy) == ("default", 0, "Always")
    assert pod.termination_grace_period_s == 30
    assert pod.deletion_grace_period_s is None
    assert not pod.is_deleted
    assert pod.containers == ()
    assert pod.dns_policy == "ClusterFirst"
    assert pod.log_folder_name == "default_p_u"


def test_fields_are_read_from_the_json() -> None:
    """The accessors name what the JSON holds."""
    pod = Pod(
        {
            "metadata": {
                "uid": "u",
                "name": "p",
                "namespace": "ns",
                "generation": 3,
                "deletionTimestamp": "2026-01-02T03:04:05Z",
                "deletionGracePeriodSeconds": 0,
            },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "hostname": "h" * 62 + "-x",
                "containers": [
                    {
                        "name": "c",
                        "image": "i",
                        "env": [{"name": "A", "value": "1"}, {"name": "B"}],
                        "resources": {"limits": {"cpu": 1}},
                    }
                ],
            },
        }
    )
    container = pod.container("c")
    assert container is not None
    assert [(each.name, each.value) for each in container.env] == [("A", "1"), ("B", "")]
    assert container.limits == {"cpu": "1"}
    assert pod.container("other") is None
    assert pod.full_name == "p_ns"
    assert pod.termination_grace_period_s == 0
    assert pod.deletion_grace_period_s == 0
    assert pod.deletion_timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert pod.hostname == "h" * 62


def test_times_with_fractions_are_read() -> None:
    """MicroTime has them."""
    assert parse_time("2026-01-02T03:04:05.5Z").microsecond == 500_000

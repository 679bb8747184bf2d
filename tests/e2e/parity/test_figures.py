"""The comparison of figures sees what differs, and passes over what may."""

from __future__ import annotations

from typing import Any

from tests.e2e.parity.figures import (
    Difference,
    cpu_use,
    is_near,
    of_namespace,
    resource_differences,
    summary_differences,
)

Json = dict[str, Any]


def _summary(*, working_set: int = 50_000_000, **memory: int) -> Json:
    use = {"workingSetBytes": working_set, **memory}
    containers = [{"name": "c", "memory": use}]
    return {
        "node": {"nodeName": "n", "memory": {"workingSetBytes": 4_000_000_000}},
        "pods": [{"podRef": {"name": "p"}, "containers": containers}],
    }


def test_values_may_differ_by_five_percent() -> None:
    """And no further."""
    near, far = _summary(working_set=51_000_000), _summary(working_set=60_000_000)
    assert summary_differences(_summary(), near) == []
    path = "pods[p].containers[c].memory.workingSetBytes"
    assert summary_differences(_summary(), far) == [
        Difference(path, "kubelet 50000000, site 60000000")
    ]


def test_a_field_that_only_the_kubelet_has_is_seen() -> None:
    """One that the site alone has is no loss."""
    assert [each.path for each in summary_differences(_summary(rssBytes=1), _summary())] == [
        "pods[p].containers[c].memory.rssBytes"
    ]
    assert summary_differences(_summary(), _summary(rssBytes=1)) == []


def test_token_volumes_are_compared_although_each_has_its_own_name() -> None:
    """A kubelet looks at volumes once a minute: they are there in some runs and not in others."""
    kubelet, site = _summary(), _summary()
    kubelet["pods"][0]["volume"] = [{"name": "kube-api-access-abcde", "inodesUsed": 9}]
    assert len(summary_differences(kubelet, site)) == 2
    site["pods"][0]["volume"] = [{"name": "kube-api-access-vwxyz", "inodesUsed": 9}]
    assert summary_differences(kubelet, site) == []
    site["pods"][0]["volume"][0]["inodesUsed"] = 5
    path = "pods[p].volume[kube-api-access].inodesUsed"
    assert summary_differences(kubelet, site) == [Difference(path, "kubelet 9, site 5")]


def test_what_may_be_left_out_is_passed_over() -> None:
    """Each has its reason beside it."""
    kubelet = _summary(availableBytes=0)
    kubelet["node"]["memory"]["psi"] = {"full": {"total": 0}}
    assert summary_differences(kubelet, _summary()) == []


def test_series_are_compared_without_their_namespaces() -> None:
    """Both run pods of the same names."""
    line = 'pod_cpu_usage_seconds_total{{namespace="{}",pod="p"}} 1 2\n'
    kubelet = "# HELP x\n" + line.format("a") + line.format("other") + "scrape 0\n"
    site = line.format("b") + "scrape 0\n"
    theirs, ours = of_namespace(kubelet, "a"), of_namespace(site, "b")
    assert resource_differences(theirs, ours) == []
    assert len(resource_differences(theirs, "scrape 0\n")) == 1


def test_use_of_processors_is_told_by_two_pages() -> None:
    """By the times of reading, not of asking."""
    line = 'container_cpu_usage_seconds_total{{container="c",pod="p"}} {} {}\n'
    before, after = line.format(1, 10_000), line.format(3, 30_000)
    assert cpu_use(before, after, container="c") == (0.1, 20.0)
    assert cpu_use(before, before, container="c") == (0.0, 0.0)


def test_near_is_a_share_of_the_larger() -> None:
    """Or the slack, whichever is more."""
    assert is_near(95.0, 100.0)
    assert not is_near(94.0, 100.0)
    assert is_near(0, 10, slack=10)

"""A container's end restarts all containers of its pod, in the sandbox and with the volumes it has.

Source of what is expected: KEP-5532, kubernetes pkg/kubelet/kubelet_pods.go
``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.pods import IDLE, container, pod
from tests.e2e.told import becomes, conditions, containers, tells

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
FEATURE = "RestartAllContainersOnContainerExits"
RULE = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
# Asks for a restart as long as it was initialised once, but not before the others run.
SOURCE = (
    f"until test -e /d/other; do sleep 0.1; done; test $(wc -l < /d/inits) -gt 1 || exit 42; {IDLE}"
)


def _restarted(told: Json) -> bool:
    found = containers(told)
    ran = ("helper", "other", "source")
    return len(found) == 4 and all(
        each["restartCount"] == 1 and (name not in ran or "running" in each["state"])
        for name, each in found.items()
    )


def test_end_of_one_container_restarts_all_in_place(cluster: Cluster, kubectl: Kubectl) -> None:
    """Init containers run again; address, volumes and the debugger's sandbox stay."""
    site = cluster.site
    node = kubectl.json("get", "node", site)
    assert node["status"]["declaredFeatures"] == [FEATURE]
    mounts = [{"name": "d", "mountPath": "/d"}]
    kubectl.apply(
        pod(
            "whole",
            container(
                "source",
                script=SOURCE,
                restartPolicy="Never",
                restartPolicyRules=[RULE],
                volumeMounts=mounts,
            ),
            container("other", script=f"touch /d/other; {IDLE}", volumeMounts=mounts),
            site=site,
            restartPolicy="Never",
            initContainers=[
                container("init", script="hostname -i >> /d/inits", volumeMounts=mounts),
                container("helper", restartPolicy="Always"),
            ],
            volumes=[{"name": "d", "emptyDir": {}}],
        )
    )
    told = becomes(kubectl, "whole", _restarted, timeout_s=90)
    for name, each in containers(told).items():
        last = each["lastState"]["terminated"]
        assert (last["reason"], last["exitCode"]) == ("RestartingAllContainers", 137), name
    assert told["phase"] == "Running"
    assert conditions(told)["AllContainersRestarting"]["status"] == "False"
    assert conditions(told)["Initialized"]["status"] == "True"
    kubectl.wait("condition=Ready", "pod/whole")
    ran = kubectl.ok("exec", "whole", "-c", "other", "--", "cat", "/d/inits").split()
    assert ran == [told["podIP"]] * 2
    assert tells(kubectl, "whole", "Killing", "killing") == "killing"

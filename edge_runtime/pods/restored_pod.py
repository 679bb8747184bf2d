"""A pod whose object is gone, as far as its containers tell; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go
``restoreSpecsFromContainerLabels``, labels.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_status import (
    CONTAINER_PORTS_ANNOTATION,
    POD_DELETION_GRACE_PERIOD_ANNOTATION,
    POD_TERMINATION_GRACE_PERIOD_ANNOTATION,
    PRE_STOP_HANDLER_ANNOTATION,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus


def restore_pod(status: PodRuntimeStatus) -> Pod:
    """Return what is needed to stop a pod: its containers' hooks and ports, its grace period.

    Which containers were sidecars is not to be known any more.
    """
    metadata: Json = {"uid": status.uid, "name": status.name, "namespace": status.namespace}
    spec: Json = {"containers": []}
    names: set[str] = set()
    for each in status.containers:
        if each.name in names:
            continue  # an earlier attempt
        names.add(each.name)
        spec["containers"].append(_container(each))
        deletion_s = _number(each.annotations, POD_DELETION_GRACE_PERIOD_ANNOTATION)
        if deletion_s is not None:
            metadata.setdefault("deletionGracePeriodSeconds", deletion_s)
        grace_period_s = _number(each.annotations, POD_TERMINATION_GRACE_PERIOD_ANNOTATION)
        if grace_period_s is not None:
            spec.setdefault("terminationGracePeriodSeconds", grace_period_s)
    return Pod({"metadata": metadata, "spec": spec})


def _container(status: ContainerStatus) -> Json:
    container: Json = {"name": status.name, "image": status.image}
    pre_stop = _json(status.annotations, PRE_STOP_HANDLER_ANNOTATION)
    if isinstance(pre_stop, dict):
        container["lifecycle"] = {"preStop": pre_stop}
    ports = _json(status.annotations, CONTAINER_PORTS_ANNOTATION)
    if isinstance(ports, list):
        container["ports"] = ports
    return container


def _json(annotations: Mapping[str, str], name: str) -> object:
    try:
        found: object = json.loads(annotations.get(name) or "null")
    except ValueError:
        # Not ours, or cut: the container is stopped without it.
        return None
    return found


def _number(annotations: Mapping[str, str], name: str) -> int | None:
    text = annotations.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else None

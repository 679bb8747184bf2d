"""Manifests as the tests use them: busybox, the site's toleration, and no more."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

BUSYBOX = "docker.io/library/busybox:latest"
SITE_TOLERATION: Json = {"key": "edgelet.dev/site", "operator": "Exists", "effect": "NoSchedule"}

# A shell that is process 1 ignores SIGTERM unless it traps it, and runs the trap only between
# commands: hence the background sleep.
WAIT_FOR_TERM = "while :; do sleep 3600 & wait $!; done"
IDLE = f"trap 'exit 0' TERM; {WAIT_FOR_TERM}"


def container(name: str = "main", *, script: str = IDLE, **fields: Any) -> Json:  # noqa: ANN401
    """Return a busybox container that runs a shell script."""
    return {
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        **fields,
    }


def pod_spec(*containers: Json, site: str, **fields: Any) -> Json:  # noqa: ANN401
    """Return a pod spec for one site."""
    return {
        "nodeSelector": {"kubernetes.io/hostname": site},
        "tolerations": [SITE_TOLERATION],
        "terminationGracePeriodSeconds": 2,
        "containers": list(containers) or [container()],
        **fields,
    }


def pod(name: str, *containers: Json, site: str, **fields: Any) -> Json:  # noqa: ANN401
    """Return a pod; `fields` go into its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(*containers, site=site, **fields),
    }


def deployment(name: str, *containers: Json, site: str, replicas: int) -> Json:
    """Return a Deployment whose pods carry the label app=NAME."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(*containers, site=site)},
        },
    }


def service(name: str, *, app: str, port: int) -> Json:
    """Return a Service over the pods with the label app=APP."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": port}]},
    }

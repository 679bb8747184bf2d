"""What this edgelet cannot run yet; pure.

The lists say what is honoured. Any other field that is set keeps the pod from being started, so
that a field of a newer API never runs as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod

_Rule = Callable[[Any], bool]


def _anything(_value: object) -> bool:
    return True


def _one_of(*values: object) -> _Rule:
    return lambda value: value in values


_SECURITY: Mapping[str, _Rule] = dict.fromkeys(
    (
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "seLinuxOptions",
        "seccompProfile",
        "appArmorProfile",
    ),
    _anything,
)
_POD_SECURITY: Mapping[str, _Rule] = {
    **_SECURITY,
    "supplementalGroups": _anything,
    # Where the runtime cannot do it, or the parameter is forbidden, admission_rules.py says so.
    "supplementalGroupsPolicy": _one_of("Merge", "Strict"),
    "sysctls": _anything,
    "fsGroup": _anything,
    "fsGroupChangePolicy": _anything,
}
_CONTAINER_SECURITY: Mapping[str, _Rule] = {
    **_SECURITY,
    "allowPrivilegeEscalation": _anything,
    "capabilities": _anything,
    "privileged": _anything,
    "procMount": _anything,
    "readOnlyRootFilesystem": _anything,
}
_POD: Mapping[str, _Rule] = {
    **dict.fromkeys(
        (
            # Placement: the scheduler's business.
            "affinity",
            "nodeName",
            "nodeSelector",
            "preemptionPolicy",
            "priority",
            "priorityClassName",
            "schedulerName",
            "tolerations",
            "topologySpreadConstraints",
            # The API server puts the token's volume into the pod for them.
            "automountServiceAccountToken",
            "serviceAccount",
            "serviceAccountName",
            # Ours.
            "activeDeadlineSeconds",
            "containers",
            "dnsConfig",
            "dnsPolicy",
            "enableServiceLinks",
            "ephemeralContainers",
            "hostAliases",
            "hostIPC",
            "hostNetwork",
            "hostPID",
            # Its true is the default, its false a user namespace.
            "hostUsers",
            "hostname",
            "imagePullSecrets",
            "hostnameOverride",
            "initContainers",
            # The scheduler's and ours: what a RuntimeClass adds.
            "overhead",
            "readinessGates",
            "resources",
            "restartPolicy",
            "runtimeClassName",
            "securityContext",
            "setHostnameAsFQDN",
            "shareProcessNamespace",
            "subdomain",
            "terminationGracePeriodSeconds",
            "volumes",
        ),
        _anything,
    ),
    # Another one than Linux is rejected (admission_rules.py).
    "os": _anything,
}
_CONTAINER: Mapping[str, _Rule] = {
    **dict.fromkeys(
        (
            "args",
            "command",
            "env",
            "envFrom",
            "image",
            "imagePullPolicy",
            "lifecycle",
            "livenessProbe",
            "name",
            "ports",
            "readinessProbe",
            "resizePolicy",
            "resources",
            "restartPolicy",
            "restartPolicyRules",
            "securityContext",
            "startupProbe",
            "stdin",
            "stdinOnce",
            "targetContainerName",
            "terminationMessagePath",
            "tty",
            "volumeMounts",
            "workingDir",
        ),
        _anything,
    ),
    "terminationMessagePolicy": _one_of("File", "FallbackToLogsOnError"),
}
_HOOK: Mapping[str, _Rule] = dict.fromkeys(("exec", "httpGet", "sleep", "tcpSocket"), _anything)
_LIFECYCLE: Mapping[str, _Rule] = dict.fromkeys(("postStart", "preStop", "stopSignal"), _anything)
_PROBE: Mapping[str, _Rule] = dict.fromkeys(
    (
        "exec",
        "failureThreshold",
        "grpc",
        "httpGet",
        "initialDelaySeconds",
        "periodSeconds",
        "successThreshold",
        "tcpSocket",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
    ),
    _anything,
)
_RESTART_RULE: Mapping[str, _Rule] = {
    "action": _one_of("Restart", "RestartAllContainers"),
    "exitCodes": _anything,
}
_ENV: Mapping[str, _Rule] = dict.fromkeys(("name", "value", "valueFrom"), _anything)
_ENV_SOURCE: Mapping[str, _Rule] = dict.fromkeys(
    ("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"), _anything
)
_ENV_FROM: Mapping[str, _Rule] = dict.fromkeys(("configMapRef", "prefix", "secretRef"), _anything)
_MOUNT: Mapping[str, _Rule] = {
    **dict.fromkeys(("mountPath", "name", "readOnly", "subPath", "subPathExpr"), _anything),
    "mountPropagation": _one_of("None", "HostToContainer", "Bidirectional"),
    "recursiveReadOnly": _one_of("Disabled", "IfPossible", "Enabled"),
}
# Of other kinds the volume manager says that there is nobody to mount them.
_VOLUMES: Mapping[str, Mapping[str, _Rule]] = {
    kind: dict.fromkeys(names.split(), _anything)
    for kind, names in {
        "configMap": "name items defaultMode optional",
        "downwardAPI": "items defaultMode",
        "emptyDir": "medium sizeLimit",
        "ephemeral": "volumeClaimTemplate",
        "hostPath": "path type",
        "image": "reference pullPolicy",
        "nfs": "server path readOnly",
        "persistentVolumeClaim": "claimName readOnly",
        "projected": "sources defaultMode",
        "secret": "secretName items defaultMode optional",
    }.items()
}
_PROJECTED: Mapping[str, Mapping[str, _Rule]] = {
    kind: dict.fromkeys(names.split(), _anything)
    for kind, names in {
        "configMap": "name items optional",
        "downwardAPI": "items",
        "secret": "name items optional",
        "serviceAccountToken": "audience expirationSeconds path",
    }.items()
}
_PORT: Mapping[str, _Rule] = dict.fromkeys(
    ("containerPort", "hostIP", "hostPort", "name", "protocol"), _anything
)


def unsupported_fields(pod: Pod) -> tuple[str, ...]:
    """Return the set fields that this edgelet does not honour, as paths from ``spec``; sorted."""
    return tuple(sorted(set(_check_pod(pod))))


def unsupported_message(fields: tuple[str, ...]) -> str:
    """Say which fields keep a pod from being started."""
    return f"this edgelet does not support {', '.join(fields)} yet"


def _check_pod(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    yield from _check(spec, _POD, "spec")
    yield from _check(spec.get("securityContext") or {}, _POD_SECURITY, "spec.securityContext")
    yield from _check_resources(spec.get("resources") or {}, "spec.resources")
    for volume in spec.get("volumes") or ():
        yield from _check_volume(volume, f"spec.volumes[{volume.get('name')}]")
    for container in pod.all_containers:
        path = f"spec.{container.kind.value}[{container.name}]"
        yield from _check_container(container.raw, path, on_host=pod.host_network)


def _check_container(container: Json, path: str, *, on_host: bool) -> Iterator[str]:
    yield from _check(container, _CONTAINER, path)
    yield from _check(
        container.get("securityContext") or {},
        _CONTAINER_SECURITY,
        f"{path}.securityContext",
    )
    for index, rule in enumerate(container.get("restartPolicyRules") or ()):
        yield from _check(rule, _RESTART_RULE, f"{path}.restartPolicyRules[{index}]")
    yield from _check_environment(container, path)
    for mount in container.get("volumeMounts") or ():
        yield from _check(mount, _MOUNT, f"{path}.volumeMounts[{mount.get('mountPath')}]")
    for port in container.get("ports") or ():
        yield from _check(port, _PORT, f"{path}.ports[{port.get('containerPort')}]")
    yield from _check_resources(container.get("resources") or {}, f"{path}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield from _check(container.get(probe) or {}, _PROBE, f"{path}.{probe}")
    lifecycle = container.get("lifecycle") or {}
    yield from _check(lifecycle, _LIFECYCLE, f"{path}.lifecycle")
    for hook in ("postStart", "preStop"):
        yield from _check(lifecycle.get(hook) or {}, _HOOK, f"{path}.lifecycle.{hook}")


def _check_environment(container: Json, path: str) -> Iterator[str]:
    for variable in container.get("env") or ():
        where = f"{path}.env[{variable.get('name')}]"
        yield from _check(variable, _ENV, where)
        yield from _check(variable.get("valueFrom") or {}, _ENV_SOURCE, f"{where}.valueFrom")
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from _check(source, _ENV_FROM, f"{path}.envFrom[{index}]")


def _check_volume(volume: Json, path: str) -> Iterator[str]:
    for kind, rules in _VOLUMES.items():
        yield from _check(volume.get(kind) or {}, rules, f"{path}.{kind}")
    projected = volume.get("projected") or {}
    for index, source in enumerate(projected.get("sources") or ()):
        where = f"{path}.projected.sources[{index}]"
        yield from _check(source, dict.fromkeys(_PROJECTED, _anything), where)
        for kind, rules in _PROJECTED.items():
            yield from _check(source.get(kind) or {}, rules, f"{where}.{kind}")


def _check_resources(resources: Json, path: str) -> Iterator[str]:
    yield from _check(resources, {"requests": _anything, "limits": _anything}, path)
    names = ("cpu", "memory", "ephemeral-storage")
    for kind in ("requests", "limits"):
        for name in resources.get(kind) or {}:
            if name not in names and not name.startswith("hugepages-"):
                yield f"{path}.{kind}[{name}]"


def _check(value: Json, rules: Mapping[str, _Rule], path: str) -> Iterator[str]:
    for name, each in value.items():
        if _is_set(each) and not (name in rules and rules[name](each)):
            yield f"{path}.{name}"


def _is_set(value: object) -> bool:
    return value not in (None, False, "", 0) and value != [] and value != {}

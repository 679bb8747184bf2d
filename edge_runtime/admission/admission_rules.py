"""Whether a new pod may run here: a kubelet's questions in a kubelet's order; pure.

    pressure, sysctls, OS, supplemental groups, then resources, affinity, ports, taints, AppArmor

Source: kubernetes pkg/kubelet/kubelet.go ``NewMainKubelet`` (the order of the handlers),
pkg/kubelet/lifecycle, pkg/kubelet/eviction/eviction_manager.go ``Admit``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.admission.node_fit import NODE_AFFINITY, Misfit, is_critical, misfits
from edge_runtime.admission.taints import tolerates
from edge_runtime.objects.node import Taint
from edge_runtime.objects.qos import QOSClass, compute_qos_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.node import Node
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.sysctls import SysctlAllowlist

_MEMORY_PRESSURE = "MemoryPressure"
_MEMORY_PRESSURE_TAINT = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")
_OS_LABEL = "kubernetes.io/os"
_LINUX = "linux"
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_UNCONFINED = ("Unconfined", "unconfined")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionSettings:
    """What does not change while the process runs.

    Attributes:
        allocatable: What pods may have in all, in units and bytes.
        architecture: As the API names it.
        supplemental_groups_policy: Whether the runtime honours ``Strict``.
        apparmor_problem: Why the machine cannot confine with AppArmor, None when it can.
    """

    allocatable: Mapping[str, Fraction]
    sysctls: SysctlAllowlist
    architecture: str
    supplemental_groups_policy: bool = False
    apparmor_problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionContext:
    """What a pod is held against.

    Attributes:
        others: The pods that hold resources, with those that are allocated to them.
        allocatable: What pods may have in all, in units and bytes.
        pressures: Pressure conditions of the Node that are true.
        supplemental_groups_policy: Whether the runtime honours ``Strict``.
        apparmor_problem: Why the machine cannot confine with AppArmor, None when it can.
    """

    node: Node
    others: Sequence[Pod]
    allocatable: Mapping[str, Fraction]
    sysctls: SysctlAllowlist
    pressures: Sequence[str] = ()
    supplemental_groups_policy: bool = False
    apparmor_problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a pod may not run.

    Attributes:
        reason: ``status.reason``.
        message: Why, without the words before it.
        misfits: All reasons why it does not fit, when that is why.
    """

    reason: str
    message: str
    misfits: tuple[Misfit, ...] = ()

    @property
    def may_be_outdated(self) -> bool:
        """Whether only the Node's labels stand against it: newer ones may be on their way."""
        return bool(self.misfits) and all(each.reason == NODE_AFFINITY for each in self.misfits)

    @property
    def lacking(self) -> Mapping[str, int]:
        """How much of each resource is missing; empty when anything else stands against it."""
        if not all(each.resource for each in self.misfits):
            return {}
        return {each.resource: each.lacking for each in self.misfits}


def rejection_of(pod: Pod, context: AdmissionContext) -> Rejection | None:
    """Return why a new pod may not run, None when it may.

    Raises:
        QuantityError: A request is no quantity.
    """
    return next(_rejections(pod, context), None)


def resize_rejection(pod: Pod, context: AdmissionContext) -> Rejection | None:
    """Return why a pod may not have what it newly asks for; the same questions but AppArmor's.

    Raises:
        QuantityError: A request is no quantity.
    """
    return next(_common_rejections(pod, context), None)


def _rejections(pod: Pod, context: AdmissionContext) -> Iterator[Rejection]:
    yield from _common_rejections(pod, context)
    if context.apparmor_problem is not None and _needs_apparmor(pod):
        message = f"Cannot enforce AppArmor: {context.apparmor_problem}"
        yield Rejection(reason="AppArmor", message=message)


def _common_rejections(pod: Pod, context: AdmissionContext) -> Iterator[Rejection]:
    if _suffers(pod, context.pressures):
        shown = f"The node had condition: [{' '.join(context.pressures)}]. "
        yield Rejection(reason="Evicted", message=shown)
    forbidden = context.sysctls.refusal(pod)
    if forbidden is not None:
        yield Rejection(reason="SysctlForbidden", message=forbidden)
    if pod.labels.get(_OS_LABEL, _LINUX) != _LINUX:
        yield Rejection(
            reason="PodOSSelectorNodeLabelDoesNotMatch",
            message="Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    if (pod.spec.get("os") or {}).get("name", _LINUX) != _LINUX:
        yield Rejection(
            reason="PodOSNotSupported",
            message="Failed to admit pod as the OS field doesn't match node OS",
        )
    policy = pod.security_context.get("supplementalGroupsPolicy")
    if policy == "Strict" and not context.supplemental_groups_policy:
        yield Rejection(
            reason="SupplementalGroupsPolicyNotSupported",
            message="SupplementalGroupsPolicy=Strict is not supported in this node",
        )
    found = misfits(pod, context.others, node=context.node, allocatable=context.allocatable)
    if is_critical(pod) and not all(each.resource for each in found):
        # Others would make room for it, so that is not what it is rejected for.
        found = tuple(each for each in found if not each.resource)
    if found:
        yield Rejection(reason=found[0].reason, message=found[0].message, misfits=found)


def _suffers(pod: Pod, pressures: Sequence[str]) -> bool:
    """Tell whether a pressure keeps a pod away."""
    if not pressures or is_critical(pod):
        return False
    if list(pressures) != [_MEMORY_PRESSURE]:
        return True
    if compute_qos_class(pod) is not QOSClass.BEST_EFFORT:
        return False
    return not tolerates(pod, _MEMORY_PRESSURE_TAINT)


def _needs_apparmor(pod: Pod) -> bool:
    # Source: kubernetes pkg/security/apparmor/helpers.go ``isRequired``.
    contexts = [
        pod.security_context,
        *(each.security_context for each in pod.all_containers),
    ]
    if any(_is_confined(each.get("appArmorProfile")) for each in contexts):
        return True
    return any(
        value not in _UNCONFINED
        for key, value in pod.annotations.items()
        if key.startswith(_APPARMOR_ANNOTATION)
    )


def _is_confined(profile: Json | None) -> bool:
    return profile is not None and profile.get("type") not in _UNCONFINED

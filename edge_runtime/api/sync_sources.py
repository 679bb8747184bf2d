"""What the sync stream needs of the rest of the edge: where it puts and where it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from edge_runtime.objects.pod import PodUID
    from tunnel.sync import (
        EventReport,
        NodePut,
        NodeReport,
        ObjectForget,
        ObjectPut,
        PodGone,
        PodStatus,
        ServicesPut,
        StatusDigest,
        TokenPut,
        TokenWant,
    )


class PodSink(Protocol):
    """Takes and tells desired pods (pods/pod_manager.py)."""

    def revisions(self) -> Mapping[str, str]:
        """Return the persisted revision of each pod that is not gone."""
        ...

    def gone(self) -> Iterable[PodGone]:
        """Return all pods that are gone and not forgotten yet."""
        ...

    def gone_changes(self) -> AsyncIterator[PodGone]:
        """Return the pods that are gone from the moment of this call on."""
        ...

    async def put(self, uid: PodUID, *, revision: str, pod: dict[str, object]) -> PodGone | None:
        """Persist a pod and act on it; return PodGone, and do nothing, when it is gone."""
        ...

    async def desired(self, uids: Iterable[PodUID]) -> None:
        """Stop and forget all pods but these; the provider's list was complete."""
        ...

    async def forget(self, uid: PodUID) -> None:
        """Stop and forget one pod: its object vanished."""
        ...


class NodeSink(Protocol):
    """Takes the edge's own Node as the API has it (store/node_store.py)."""

    async def put(self, message: NodePut) -> None:
        """Persist it; admission reads the newest."""
        ...


class StatusSource(Protocol):
    """The persisted statuses (status/status_manager.py)."""

    def statuses(self) -> Mapping[str, StatusDigest]:
        """Return sequence and hash of every status."""
        ...

    def body(self, uid: PodUID) -> PodStatus | None:
        """Return the newest status of a pod."""
        ...

    def changed(self) -> AsyncIterator[PodStatus]:
        """Return the statuses that change from the moment of this call on."""
        ...

    def acknowledge(self, uid: PodUID, *, sequence: int) -> None:
        """Note that the API holds the status of this sequence."""
        ...


class ObjectSink(Protocol):
    """Keeps what pods refer to (store/object_store.py)."""

    def revisions(self) -> Mapping[str, str]:
        """Return the persisted revision of each object, by ``tunnel.sync.object_key``."""
        ...

    async def put(self, message: ObjectPut) -> None:
        """Persist an object, or that there is none."""
        ...

    async def forget(self, message: ObjectForget) -> None:
        """Drop an object that no pod refers to."""
        ...


class ServiceSink(Protocol):
    """Keeps the Services of pods' namespaces (store/service_store.py)."""

    def revisions(self) -> Mapping[str, str]:
        """Return the persisted revision of each namespace's Services."""
        ...

    async def put(self, message: ServicesPut) -> None:
        """Persist a namespace's Services, or forget them where the list is not complete."""
        ...


class TokenSource(Protocol):
    """Service account tokens of pods (tokens/token_manager.py)."""

    def expiries(self) -> Mapping[str, str]:
        """Return the expiry of each persisted token, by ``tunnel.sync.token_key``."""
        ...

    def wants(self) -> Iterable[TokenWant]:
        """Return all that was asked for and has not come."""
        ...

    def changed(self) -> AsyncIterator[TokenWant]:
        """Return what is asked for from the moment of this call on."""
        ...

    async def put(self, message: TokenPut) -> None:
        """Persist a token, or take why there is none."""
        ...


class NodeReporter(Protocol):
    """What the machine is and how it does (machine/machine_info.py)."""

    def changes(self) -> AsyncGenerator[NodeReport, None]:
        """Return a report at once, then each that differs from the one before."""
        ...


class EventSource(Protocol):
    """Events that the API does not hold yet (events/event_recorder.py)."""

    def pending(self) -> Iterable[EventReport]:
        """Return all of them, oldest first."""
        ...

    def changed(self) -> AsyncIterator[EventReport]:
        """Return the events that come or change from the moment of this call on."""
        ...

    async def acknowledge(self, event_id: str) -> None:
        """Drop an event: the API holds it."""
        ...

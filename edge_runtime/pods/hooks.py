"""What pods ask of the lifecycle hooks of their containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod

# Waiting reason of the API: the container was started, but its hook failed.
POST_START_HOOK_ERROR = "PostStartHookError"


class HookFailed(Exception):
    """A lifecycle hook failed; the text is what it said."""


class Hooks(Protocol):
    """What runs lifecycle hooks (pods/lifecycle_hooks.py)."""

    async def run_hook(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        handler: Json,
        *,
        timeout_s: float | None,
        ip: str,
    ) -> None:
        """Run one hook to its end; None is no timeout; raises HookFailed."""
        ...

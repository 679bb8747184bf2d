"""Who knows what the edge tells of itself."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

from edge_runtime.telemetry.edge_figures import EdgeSources
from edge_runtime.uplink.credentials import CredentialsError

if TYPE_CHECKING:
    from edge_runtime.pod_parts import PodParts
    from edge_runtime.store.database import Database
    from edge_runtime.uplink.credentials import Credentials


def edge_sources(parts: PodParts, credentials: Credentials, database: Database) -> EdgeSources:
    """Return them; nothing is asked yet."""
    cache, stores = parts.cache, parts.stores

    def running_pods() -> int:
        return sum(bool(cache.get(uid).ready_sandboxes) for uid in cache.uids())

    def containers() -> dict[str, int]:
        states = collections.Counter(each.state for each in cache.containers())
        return {state.name.lower(): count for state, count in sorted(states.items(), key=str)}

    def relisted_at_s() -> float | None:
        age_s = parts.pleg.relist_age_s()
        return None if age_s is None else time.time() - age_s

    def certificate_end_s() -> float | None:
        try:
            return credentials.facts().not_after
        except CredentialsError:
            # The dialer and the renewal say why, again and again.
            return None

    return EdgeSources(
        node_name=credentials.site,
        running_pods=running_pods,
        desired_pods=lambda: len(parts.workers.running()),
        containers=containers,
        relisted_at_s=relisted_at_s,
        certificate_end_s=certificate_end_s,
        statuses_pending=stores.statuses.unacknowledged,
        events_pending=stores.events.waiting,
        store_bytes=database.size_bytes,
    )

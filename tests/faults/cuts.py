"""Cuts of a devcluster's link: what they are, how they are drawn, and how they are made."""

from __future__ import annotations

import dataclasses
import enum
import random
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

SHORTEST_CUT_S = 0.1
# After a heal, before the next cut: sometimes before the session has settled.
SHORTEST_GAP_S = 0.5
LONGEST_GAP_S = 4.0
CUT_CHAIN = "EDGELET-CUT"


class Kind(enum.Enum):
    """How the link fails."""

    DOWN = "the cable is pulled"
    DROP = "packets vanish"
    UP_HALF = "packets towards the cloud vanish"
    DOWN_HALF = "packets towards the edge vanish"
    REBIND = "packets vanish, and the site has a new address afterwards"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut.

    Attributes:
        kind: How the link fails.
        length_s: For how long.
        gap_s: How long the link works before it.
    """

    kind: Kind
    length_s: float
    gap_s: float


def draw_cuts(count: int, *, longest_s: float, mean_s: float, seed: int) -> list[Cut]:
    """Draw cuts; every kind comes, lengths are exponential between their bounds.

    Args:
        count: How many.
        longest_s: No cut is longer; one is exactly so long.
        mean_s: Before the bounds are applied.
        seed: The same seed draws the same cuts.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible
    kinds = [kind for _ in range(count // len(Kind) + 1) for kind in Kind][:count]
    chance.shuffle(kinds)
    lengths = [
        min(longest_s, SHORTEST_CUT_S + chance.expovariate(1 / mean_s)) for _ in range(count)
    ]
    lengths[chance.randrange(count)] = longest_s
    return [
        Cut(kind=kind, length_s=length_s, gap_s=chance.uniform(SHORTEST_GAP_S, LONGEST_GAP_S))
        for kind, length_s in zip(kinds, lengths, strict=True)
    ]


class Link:
    """The link of a devcluster's site."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._router = cluster.environment["DEVCLUSTER_NAT_NETNS"]
        self._address = self._outer_address()
        self._other = self._spare_address()

    def cut(self, kind: Kind) -> None:
        """Let the link fail."""
        match kind:
            case Kind.DOWN:
                self._cluster.cut_link(how="down")
            case Kind.DROP | Kind.REBIND:
                self._cluster.cut_link(how="drop")
            case Kind.UP_HALF:
                self._in_router("iptables", "-w", "5", "-A", CUT_CHAIN, "-i", "lan", "-j", "DROP")
            case Kind.DOWN_HALF:
                self._in_router("iptables", "-w", "5", "-A", CUT_CHAIN, "-i", "wan", "-j", "DROP")

    def heal(self, kind: Kind) -> None:
        """Let the link work again."""
        if kind is Kind.REBIND:
            self._rebind()
        self._cluster.heal_link()

    def restore(self) -> None:
        """Heal, and give the site its first address back."""
        if self._outer_address() != self._address:
            self._rebind()
        self._cluster.heal_link()

    def _rebind(self) -> None:
        """Change the router's outer address: MASQUERADE forgets what it had with the old one."""
        old = self._outer_address()
        new = self._other if old == self._address else self._address
        self._in_router("ip", "addr", "del", f"{old}/24", "dev", "wan")
        self._in_router("ip", "addr", "add", f"{new}/24", "dev", "wan")

    def _outer_address(self) -> str:
        shown = self._in_router("ip", "-4", "-o", "addr", "show", "dev", "wan")
        return shown.split()[3].partition("/")[0]

    def _spare_address(self) -> str:
        # The devcluster gives routers .101 to .180.
        network, _, host = self._address.rpartition(".")
        return f"{network}.{int(host) + 100}"

    def _in_router(self, *command: str) -> str:
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self._router}", *command],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

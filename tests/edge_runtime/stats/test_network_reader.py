"""Interfaces are read as a process sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.runtime_stats import InterfaceUsage
from edge_runtime.stats.network_reader import NetworkReader, parse_net_dev

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:      11      1    0    0    0     0          0         0      11      1    0    0    0     0       0          0
  eth0: 2433261800   95356    3    4    0     0          0         0  6390083   56566    5    6    0     0       0          0
veth1:       7       1    0    0    0     0          0         0       7      1    0    0    0     0       0          0
wlan0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
"""  # noqa: E501


def test_columns_are_told_apart() -> None:
    """Loopback and the machine's ends of pods' interfaces are left out, as a kubelet does."""
    assert parse_net_dev(_TEXT) == (
        InterfaceUsage(
            name="eth0",
            rx_bytes=2433261800,
            rx_packets=95356,
            rx_errors=3,
            rx_dropped=4,
            tx_bytes=6390083,
            tx_packets=56566,
            tx_errors=5,
            tx_dropped=6,
        ),
        InterfaceUsage(
            name="wlan0",
            rx_bytes=1,
            rx_packets=2,
            rx_errors=3,
            rx_dropped=4,
            tx_bytes=5,
            tx_packets=6,
            tx_errors=7,
            tx_dropped=8,
        ),
    )


@given(text=st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """What is no line of an interface is passed over."""
    parse_net_dev(text)


def test_a_process_that_is_gone_has_no_interfaces(tmp_path: Path) -> None:
    """It may end between two looks."""
    folder = tmp_path / "7/net"
    folder.mkdir(parents=True)
    (folder / "dev").write_text(_TEXT)
    found = NetworkReader(tmp_path).read(7)
    assert found is not None
    assert [each.name for each in found.interfaces] == ["eth0", "wlan0"]
    assert NetworkReader(tmp_path).read(8) is None


def test_the_machine_has_its_first_process_network() -> None:
    """Whichever namespace the edge itself is in."""
    assert NetworkReader().read() is not None

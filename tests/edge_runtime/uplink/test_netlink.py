"""Which of what the kernel tells is a change of the network."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.uplink.netlink import Network
from tests.fakes.netlink import (
    DEL_ADDRESS,
    DEL_LINK,
    DONE,
    ETHERNET,
    HOST,
    LINK,
    LOOPBACK,
    MULTI,
    NEW_ADDRESS,
    NEW_LINK,
    POD,
    UP,
    address,
    link,
    message,
)


@pytest.fixture
def network() -> Network:
    """A machine with one address on one link."""
    known = Network()
    answers = link(ETHERNET, carrier=True) + address("192.0.2.7", flags=MULTI) + message(DONE, b"")
    assert not known.receive(answers)
    return known


def test_an_address_that_comes_or_goes_is_a_change(network: Network) -> None:
    """A lease, a roaming phone, IPv6 that arrives late."""
    assert network.receive(address("198.51.100.9"))
    assert network.receive(address("2001:db8::1"))
    assert network.receive(address("192.0.2.7", kind=DEL_ADDRESS))


def test_an_address_that_is_told_again_is_none(network: Network) -> None:
    """Its lifetime was prolonged, as every few minutes with IPv6."""
    assert not network.receive(address("192.0.2.7"))
    assert not network.receive(address("10.9.9.9", kind=DEL_ADDRESS))


@pytest.mark.parametrize("scope", [LINK, HOST])
def test_an_address_that_reaches_nobody_is_none(network: Network, scope: int) -> None:
    """Every pod's link has one."""
    assert not network.receive(address("fe80::1", POD, scope=scope))


def test_the_carrier_of_a_link_with_an_address_is_a_change(network: Network) -> None:
    """Once when it goes and once when it comes."""
    assert network.receive(link(ETHERNET, carrier=False))
    assert not network.receive(link(ETHERNET, carrier=False))
    assert network.receive(link(ETHERNET, carrier=True))


def test_a_pods_link_is_none(network: Network) -> None:
    """It comes, gets its carrier, and goes, at every start of a pod."""
    assert not network.receive(link(POD, carrier=False))
    assert not network.receive(link(POD, carrier=True))
    assert not network.receive(link(POD, carrier=True, kind=DEL_LINK))
    assert not network.receive(link(1, carrier=True, flags=UP | LOOPBACK))


def test_questions_are_asked_one_after_the_other() -> None:
    """The kernel refuses a second one before it has answered the first."""
    network = Network()
    first = network.next_request()
    assert first is not None
    assert struct.unpack_from("=LHH", first)[1:] == (18, 0x301)
    assert network.next_request() is None
    network.receive(link(ETHERNET, carrier=True))
    assert network.next_request() is None
    network.receive(message(DONE, bytes(4)))
    second = network.next_request()
    assert second is not None
    assert struct.unpack_from("=LHH", second)[1] == 22
    network.receive(message(DONE, bytes(4)))
    assert network.next_request() is None


@given(st.binary(max_size=200))
def test_rubbish_is_passed_over(data: bytes) -> None:
    """It raises nothing."""
    Network().receive(data)
    Network().receive(message(NEW_ADDRESS, data))
    Network().receive(message(NEW_LINK, data))

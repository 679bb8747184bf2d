"""Entering a namespace moves one thread and brings back what happened there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devcluster.netns import inside, netns_path

OWN = "/proc/self/ns/net"


def test_names_are_those_of_ip_netns_and_paths_stay() -> None:
    """A name stands for its file under /run/netns."""
    assert netns_path("cloud") == Path("/run/netns/cloud")
    assert netns_path(OWN) == Path(OWN)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to enter a network namespace")
def test_the_action_runs_there_and_its_result_comes_back() -> None:
    """The namespace entered is one's own here, which every machine has."""
    assert inside(OWN, lambda: os.readlink("/proc/thread-self/ns/net")) == os.readlink(OWN)


def test_a_namespace_that_is_not_there_is_an_error() -> None:
    """The file's name is in the error."""
    with pytest.raises(FileNotFoundError, match="no-such-namespace"):
        inside("no-such-namespace", lambda: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to enter a network namespace")
def test_the_actions_own_error_is_raised_here() -> None:
    """The caller sees what went wrong in the other thread."""
    with pytest.raises(ZeroDivisionError):
        inside(OWN, lambda: 1 // 0)

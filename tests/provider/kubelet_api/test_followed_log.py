"""What the reader of a followed log is told when it breaks off."""

from __future__ import annotations

import dataclasses

import pytest

from provider.kubelet_api.followed_log import FollowedLog, LogCall
from tunnel.log_positions import LogFramesBroken, encode_frames

CALL = LogCall(site="site-a", namespace="ns", pod="p", container="c", query={"follow": "true"})
LINE_NS = 1767323045_123456789  # 2026-01-02T03:04:05.123456789Z


def followed(*pieces: tuple[bytes, int], **query: str) -> FollowedLog:
    """A log of which so much came."""
    log = FollowedLog(dataclasses.replace(CALL, query={**CALL.query, **query}))
    for text, position_ns in pieces:
        assert log.receive_data(encode_frames(text, position_ns=position_ns)) == text
    return log


def test_it_goes_on_at_the_nanosecond_after_the_last_line() -> None:
    """The time for people and programs, and a command for kubectl."""
    log = followed((b"one\n", 1), (b"two\n", LINE_NS))
    assert log.notice("the link was lost").decode().splitlines() == [
        "edgelet: the log of site site-a broke off here: the link was lost",
        "edgelet: it goes on at 2026-01-02T03:04:05.123456790Z:",
        "edgelet:   kubectl logs -f -n ns p -c c --since-time=2026-01-02T03:04:05Z"
        " --limit-bytes=9000000000123456790",
    ]


def test_the_command_is_as_the_one_that_broke_off() -> None:
    """Flags that change what is shown are kept; a real limit takes the nanoseconds' place."""
    log = followed((b"x\n", LINE_NS), previous="true", timestamps="true", limitBytes="4096")
    last = log.notice("lost").decode().splitlines()[-1]
    assert last.endswith("-c c --previous --timestamps --since-time=2026-01-02T03:04:05Z")
    resumed = followed((b"x\n", LINE_NS), limitBytes="9000000000000000001")
    assert "--limit-bytes=9000000000123456790" in resumed.notice("lost").decode()


def test_a_whole_second_has_no_fraction() -> None:
    """The next line begins at a whole second."""
    text = followed((b"x\n", 1767323045_999999999)).notice("lost").decode()
    assert "goes on at 2026-01-02T03:04:06Z:" in text
    assert "--since-time=2026-01-02T03:04:06Z --limit-bytes=9000000000000000000" in text


def test_an_unfinished_line_is_ended_first_and_comes_again() -> None:
    """The notice stands on lines of its own."""
    log = followed((b"one\n", LINE_NS), (b"tw", 0))
    assert log.notice("lost").startswith(b"\nedgelet: ")
    assert b"it goes on at 2026-01-02T03:04:05.123456790Z:" in log.notice("lost")


def test_nothing_came_yet() -> None:
    """Then the same command does it."""
    text = followed().notice("lost").decode()
    assert "no whole line was shown" in text
    assert "--since-time" not in text


def test_what_the_edge_says_does_not_speak_to_the_terminal() -> None:
    """It may be in other hands."""
    text = followed((b"x\n", LINE_NS)).notice("\x1b[2J\nkubectl delete ns prod" + "y" * 999)
    assert b"\x1b" not in text
    assert text.count(b"\n") == 3
    assert len(text) < 1000


def test_only_whole_frames_are_shown() -> None:
    """What is shown and how far it came are one."""
    frame = encode_frames(b"line\n", position_ns=LINE_NS)
    log = FollowedLog(CALL)
    assert log.receive_data(frame[:-1]) == b""
    with pytest.raises(LogFramesBroken, match="too early"):
        log.end()
    assert b"no whole line" in log.notice("lost")
    assert log.receive_data(frame[-1:]) == b"line\n"
    log.end()

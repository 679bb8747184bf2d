"""Rights and packages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from devcluster import requirements
from devcluster.errors import Unprepared

if TYPE_CHECKING:
    from pathlib import Path


def test_capabilities_are_read_from_the_effective_set() -> None:
    """The bit counts, whatever the permitted set says."""
    status = "CapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"
    assert requirements.has_capability(21, status=status)
    assert not requirements.has_capability(24, status=status)
    assert not requirements.has_capability(24, status="")


def test_lack_of_rights_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, exit status 2."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unprepared, match="sudo") as caught:
        requirements.require_rights()
    assert caught.value.exit_status == 2


def test_missing_programs_become_packages_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each package once, in one command that can be pasted."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "CNI_BIN_FOLDERS", ())
    assert requirements.missing_packages(["ctr", "containerd"]) == [
        "busybox-static",
        "containerd",
        "containernetworking-plugins",
    ]
    with pytest.raises(Unprepared, match=r"apt-get install .*busybox-static containerd "):
        requirements.require_packages()


def test_dynamic_busybox_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without a C library needs a static program."""
    program = tmp_path / "busybox"
    program.write_bytes(b"\x7fELF" + b"\0" * 500 + b"/lib64/ld-linux-x86-64.so.2\0")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "busybox-static" in requirements.missing_packages([])
    program.write_bytes(b"\x7fELF" + b"\0" * 500)
    assert "busybox-static" not in requirements.missing_packages([])


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        ("go1.26.8 local", ""),
        ("go1.27.0 local", ""),
        ("go1.22.1 auto", ""),
        ("go1.22.1 local", "too old"),
        ("go1.19.8", "too old"),
        ("nonsense", "no version"),
    ],
)
def test_go_must_be_able_to_build(
    answer: str, lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old toolchain is enough where it may fetch a newer one."""
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho {answer}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if not lacks:
        requirements.require_go()
        return
    with pytest.raises(Unprepared, match=lacks):
        requirements.require_go()


def test_no_go_at_all_tells_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence holds the address."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unprepared, match=r"go\.dev"):
        requirements.require_go()

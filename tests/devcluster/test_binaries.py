"""Go programs and their cache."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from devcluster import binaries
from devcluster.binaries import GoProgram
from devcluster.errors import DevclusterError
from devcluster.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoProgram:
    """A small Go program with two names and a cache of its own."""
    # Go's own cache stays where it is, or every test would compile the standard library.
    go_cache = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True)
    monkeypatch.setenv("GOCACHE", go_cache.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.com/x\n\ngo 1.21\n")
    source = 'package main\n\nimport ("fmt"; "os")\n\nfunc main() { fmt.Print(os.Args[0]) }\n'
    (module / "main.go").write_text(source)
    return GoProgram(module=module, package=".", names=("one", "two"))


def test_fingerprint_follows_sources_and_flags_alone(program: GoProgram) -> None:
    """A file that Go does not read changes nothing."""
    first = program.fingerprint()
    (program.module / "notes.txt").write_text("x")
    assert program.fingerprint() == first
    assert replace(program, link_flags="-X main.v=1").fingerprint() != first
    (program.module / "go.sum").write_text("x")
    assert program.fingerprint() != first


def test_build_runs_once_and_every_name_works(program: GoProgram, tmp_path: Path) -> None:
    """The second call finds the first one's work; a program knows the name it is called by."""
    links = tmp_path / "bin"
    binaries.provide([program], links=links, progress=Progress())
    stamp = (program.folder / "one").stat().st_mtime_ns
    binaries.provide([program], links=links, progress=Progress())
    assert (program.folder / "one").stat().st_mtime_ns == stamp
    called = subprocess.run([links / "two"], capture_output=True, text=True, check=True).stdout
    assert called.endswith("/two")


def test_broken_source_gives_the_compilers_words(program: GoProgram, tmp_path: Path) -> None:
    """What the compiler says is in the error."""
    (program.module / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(DevclusterError, match="undefined: nonsense"):
        binaries.provide([program], links=tmp_path / "bin", progress=Progress())


def test_given_assets_are_used_instead(
    program: GoProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What KUBEBUILDER_ASSETS has is not built."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in program.names:
        (assets / name).write_text("#!/bin/sh\n")
        (assets / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    binaries.provide([program], links=tmp_path / "bin", progress=Progress())
    assert (tmp_path / "bin" / "one").readlink() == assets / "one"
    assert not program.folder.exists()


def test_versions_are_pinned_alike() -> None:
    """The version we stamp is the one that go.mod asks for."""
    text = (binaries.CONTROL_PLANE.module / "go.mod").read_text()
    assert f"k8s.io/kubernetes {binaries.KUBERNETES_VERSION}\n" in text

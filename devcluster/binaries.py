"""Go programs: built once, cached by the hash of their module's sources.

All clusters of a user share them. Where ``KUBEBUILDER_ASSETS`` is set, programs that stand in that
folder are used instead of ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.errors import DevclusterError
from devcluster.requirements import require_go

if TYPE_CHECKING:
    from devcluster.progress import Progress

HERE = Path(__file__).resolve().parent
KUBERNETES_VERSION = "v1.36.3"
BUILD_TIMEOUT_S = 3600.0
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
# A build from the module proxy carries no git tag, so the version that /version and kubectl tell
# is set here.
_STAMP = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in (
        ("gitVersion", KUBERNETES_VERSION),
        ("gitMajor", _MAJOR),
        ("gitMinor", _MINOR),
        ("gitTreeState", "clean"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """One `go build`.

    Attributes:
        module: Folder of the Go module.
        package: Package in it, such as ``.`` or ``./kubectl``.
        names: Names that it is called by; the first is the file, the others link to it.
        link_flags: For the linker, besides ``-s -w``.
    """

    module: Path
    package: str
    names: tuple[str, ...]
    link_flags: str = ""

    def fingerprint(self) -> str:
        """Return the hash of all that decides what the build makes, 16 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=8)
        for file in sorted(self.module.rglob("*")):
            if file.suffix in {".go", ".mod", ".sum"}:
                digest.update(f"{file.relative_to(self.module)}\0".encode())
                digest.update(hashlib.blake2b(file.read_bytes()).digest())
        digest.update(self.link_flags.encode())
        return digest.hexdigest()

    @property
    def folder(self) -> Path:
        """Cache folder of this version; programs of one module share it."""
        return cache_folder() / self.fingerprint()


CONTROL_PLANE = GoProgram(
    module=HERE / "control_plane",
    package=".",
    names=("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    link_flags=_STAMP,
)
KUBECTL = GoProgram(
    module=HERE / "control_plane", package="./kubectl", names=("kubectl",), link_flags=_STAMP
)
KUBELET = GoProgram(
    module=HERE / "control_plane", package="./kubelet", names=("kubelet",), link_flags=_STAMP
)
METRICS_SERVER = GoProgram(module=HERE / "metrics_server", package=".", names=("metrics-server",))
ETCD = GoProgram(module=HERE / "etcd", package=".", names=("etcd",))


def cache_folder() -> Path:
    """Return the user's cache folder for edgelet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgelet"


def provide(programs: list[GoProgram], *, links: Path, progress: Progress) -> None:
    """Link every program by its names into the folder `links`, building what is not there yet.

    Raises:
        Unprepared: Something is to be built and there is no Go toolchain.
        DevclusterError: A build failed.
    """
    links.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("KUBEBUILDER_ASSETS")
    for program in programs:
        for name in program.names:
            asset = Path(given) / name if given else None
            if asset is not None and os.access(asset, os.X_OK):
                _link(links / name, asset)
                continue
            _build_once(program, progress)
            _link(links / name, program.folder / name)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _build_once(program: GoProgram, progress: Progress) -> None:
    if all((program.folder / name).exists() for name in program.names):
        return
    require_go()
    program.folder.mkdir(parents=True, exist_ok=True)
    with (program.folder / "lock").open("w") as lock:
        # Held until the file is closed: of two builds at once, the second finds the first one's
        # work.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((program.folder / name).exists() for name in program.names):
            return
        what = ", ".join(program.names)
        with progress.step(f"building {what} (once; minutes when nothing is cached)"):
            _build(program)


def _build(program: GoProgram) -> None:
    file, *others = program.names
    with tempfile.TemporaryDirectory(dir=program.folder) as scratch:
        new = Path(scratch) / file
        argv = ["go", "build", "-trimpath", "-ldflags", f"-s -w {program.link_flags}".strip()]
        environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
        try:
            done = subprocess.run(
                [*argv, "-o", new, program.package],
                cwd=program.module,
                env=environment,
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise DevclusterError(f"go build of {file}: {exc}") from exc
        if done.returncode != 0:
            last = "\n".join(done.stderr.splitlines()[-10:])
            raise DevclusterError(f"go build of {file} in {program.module} failed:\n{last}")
        os.replace(new, program.folder / file)
    for name in others:
        _link(program.folder / name, Path(file))

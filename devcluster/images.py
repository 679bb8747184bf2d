"""OCI images made from what the machine has: a pause program and a busybox with every applet.

Archives are the OCI image layout in a tar file (image-spec, image-layout.md), with one
uncompressed layer, and are the same bytes for the same inputs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.errors import Unprepared
from devcluster.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAUSE_IMAGE = "registry.k8s.io/pause:3.6"
BUSYBOX_IMAGES = ("docker.io/library/busybox:latest", "docker.io/library/busybox:local")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"

# Process 1 of a sandbox: it holds the namespaces, reaps what the pod's containers leave to it when
# they share their process namespace, and ends on SIGTERM (which process 1 ignores without a
# handler).
_PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }

int main(void) {
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGINT, &action, 0);
  sigaction(SIGTERM, &action, 0);
  action.sa_handler = reap;
  action.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, 0);
  for (;;) pause();
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One entry of a layer: a folder without content or link, a symbolic link, or a file.

    Attributes:
        mode: Permission bits.
        content: Bytes of a file.
        link: Target of a symbolic link.
    """

    mode: int = 0o755
    content: bytes | None = None
    link: str = ""


def layer(files: Mapping[str, File]) -> bytes:
    """Return a layer as a tar file, entries in the order given, owned by root, without times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = file.mode
            if file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            elif file.content is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(file.content)
            tar.addfile(entry, io.BytesIO(file.content or b""))
    return buffer.getvalue()


def archive(
    references: Sequence[str],
    files: Mapping[str, File],
    *,
    config: Mapping[str, object],
    architecture: str,
) -> bytes:
    """Return an OCI archive of one image.

    Args:
        references: Names that the image gets where it is imported.
        files: Its one layer.
        config: Execution parameters (image-spec, config.md: Cmd, Entrypoint, Env, ...).
        architecture: As Go names it.
    """
    content = layer(files)
    image_config = {
        "architecture": architecture,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [_digest(content)]},
        "history": [{"created_by": "devcluster/images.py"}],
    }
    config_json = json.dumps(image_config).encode()
    manifest_json = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config_json),
            "layers": [_descriptor(_LAYER, content)],
        }
    ).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [
            # containerd takes the image's whole name from its own annotation; the other one is the
            # standard's.
            _descriptor(_MANIFEST, manifest_json)
            | {
                "annotations": {
                    "io.containerd.image.name": reference,
                    "org.opencontainers.image.ref.name": reference,
                }
            }
            for reference in references
        ],
    }
    blobs = {_digest(blob): blob for blob in (content, config_json, manifest_json)}
    return layer(
        {
            "oci-layout": File(mode=0o644, content=b'{"imageLayoutVersion":"1.0.0"}'),
            "index.json": File(mode=0o644, content=json.dumps(index).encode()),
            **{
                f"blobs/sha256/{digest.removeprefix('sha256:')}": File(mode=0o644, content=blob)
                for digest, blob in blobs.items()
            },
        }
    )


def busybox_files(program: bytes, applets: Sequence[str]) -> dict[str, File]:
    """Return the layer of busybox: the program, a link per applet, the folders a shell expects."""
    return {
        **{
            f"{name}": File() for name in ("bin", "etc", "home", "usr", "usr/bin", "var", "var/www")
        },
        "root": File(mode=0o700),
        "tmp": File(mode=0o1777),
        "etc/group": File(mode=0o644, content=b"root:x:0:\nnogroup:x:65534:\n"),
        "etc/passwd": File(
            mode=0o644,
            content=b"root:x:0:0:root:/root:/bin/sh\n"
            b"nobody:x:65534:65534:nobody:/home:/bin/false\n",
        ),
        "var/www/index.html": File(mode=0o644, content=b"hello from the edge\n"),
        "bin/busybox": File(content=program),
        "usr/bin/env": File(link="/bin/env"),
        **{f"bin/{a}": File(mode=0o777, link="busybox") for a in applets if a != "busybox"},
    }


def make_images(folder: Path) -> list[Path]:
    """Write the archives of all images into a folder, unless they are there; return them.

    Raises:
        Unprepared: The machine's architecture is none we know the name of.
        DevclusterError: The compiler failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pause, busybox = folder / "pause.tar", folder / "busybox.tar"
    if not pause.exists():
        files = {"pause": File(content=_pause_program())}
        config = {"Entrypoint": ["/pause"], "Env": ["PATH=/"]}
        _write(pause, archive([PAUSE_IMAGE], files, config=config, architecture=_architecture()))
    if not busybox.exists():
        _write(busybox, busybox_archive(BUSYBOX_IMAGES))
    return [pause, busybox]


def busybox_archive(
    references: Sequence[str],
    *,
    labels: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> bytes:
    """Return an OCI archive of the machine's own busybox.

    Args:
        references: Names that the image gets where it is imported.
        labels: Other labels make it another image.
        settings: More of its configuration (image-spec, config.md: User, StopSignal, ...).

    Raises:
        Unprepared: The machine's architecture is none we know the name of.
        DevclusterError: busybox cannot list its applets.
    """
    program = Path(shutil.which("busybox") or "/bin/busybox")
    files = busybox_files(program.read_bytes(), run([program, "--list"]).split())
    config: dict[str, object] = {"Cmd": ["sh"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    config.update(settings or {})
    if labels:
        config["Labels"] = dict(labels)
    return archive(references, files, config=config, architecture=_architecture())


def _pause_program() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        source, program = Path(scratch) / "pause.c", Path(scratch) / "pause"
        source.write_text(_PAUSE_SOURCE)
        run(["gcc", "-static", "-Os", "-s", "-Wall", "-Werror", "-o", program, source])
        return program.read_bytes()


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise Unprepared(f"images can be made on {', '.join(_ARCHITECTURES)}, not on {machine}")
    return _ARCHITECTURES[machine]


def _write(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, file)


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}

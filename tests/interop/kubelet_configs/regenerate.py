"""Ask the kubelet's own code what it makes of the pods in pods.py, and keep its answers.

    python -m tests.interop.kubelet_configs.regenerate

Builds kubelet_configs.go into a copy of the Kubernetes module that the devcluster is built from;
minutes of work for a cold cache. To be done on a machine with cgroup version 1, and with pages of
2 MiB and 1 GiB.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.interop.kubelet_configs.pods import kubelet_inputs

HERE = Path(__file__).parent
CONTROL_PLANE = HERE.parents[2] / "devcluster/control_plane"
MODULE = "k8s.io/kubernetes"
PACKAGE = "pkg/kubelet/kuberuntime"


def regenerate(answers: Path, *, folder: Path) -> None:
    """Build the program in a folder and write what it answers, compressed."""
    kubernetes, program = folder / "kubernetes", folder / "program"
    shutil.copytree(_module_folder(), kubernetes)
    for path in (kubernetes, *kubernetes.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    shutil.copy(HERE / "kubelet_configs.go", kubernetes / PACKAGE)
    program.mkdir()
    shutil.copy(HERE / "main.go", program)
    for name in ("go.mod", "go.sum"):
        shutil.copy(CONTROL_PLANE / name, program)
    with (program / "go.mod").open("a") as file:
        file.write(f"\nreplace {MODULE} => {kubernetes}\n")
    binary = program / "program"
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    subprocess.run(
        ["go", "build", "-trimpath", "-o", binary, "."], cwd=program, env=environment, check=True
    )
    pods = "".join(f"{json.dumps(each)}\n" for each in kubelet_inputs())
    done = subprocess.run([binary], input=pods.encode(), stdout=subprocess.PIPE, check=True)
    # The same answers shall be the same file.
    answers.write_bytes(gzip.compress(done.stdout, mtime=0))


def _module_folder() -> Path:
    listed = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", MODULE],
        cwd=CONTROL_PLANE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(listed.stdout.strip())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        regenerate(HERE / "kubelet.jsonl.gz", folder=Path(temporary))

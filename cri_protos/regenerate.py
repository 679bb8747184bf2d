"""Make the Python modules and their types from the .proto files beside this one.

Run ``python -m cri_protos.regenerate`` with grpcio-tools and mypy-protobuf installed; the result is
committed. gRPC stubs are not generated: ``edge_runtime/runtime/cri_channel.py`` needs only names.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

SOURCES = ("api.proto", "containerd_events.proto", "containerd_content.proto")


def regenerate(target: Path) -> None:
    """Write the generated modules below ``target``, in its folder ``cri_protos``.

    Raises:
        RuntimeError: protoc refused; it printed why.
    """
    package = Path(__file__).resolve().parent
    well_known = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy={Path(sys.executable).with_name('protoc-gen-mypy')}",
            f"--proto_path={package.parent}",
            f"--proto_path={well_known}",
            f"--python_out={target}",
            f"--mypy_out={target}",
            *(f"cri_protos/{source}" for source in SOURCES),
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")


if __name__ == "__main__":
    regenerate(Path(__file__).resolve().parent.parent)

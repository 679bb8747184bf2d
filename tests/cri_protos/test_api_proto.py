"""Our description of CRI against the one that Kubernetes publishes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from cri_protos import api_pb2, regenerate

CRI_API = "k8s.io/cri-api@v0.36.3"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorProto:
    """CRI's own description, from the Go module that Kubernetes publishes."""
    folder = tmp_path_factory.mktemp("cri-api")
    if shutil.which("go") is None:
        pytest.skip("there is no Go to fetch the module with")
    download = subprocess.run(
        ["go", "mod", "download", "-json", CRI_API],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if download.returncode != 0:
        pytest.skip(f"{CRI_API} cannot be fetched: {download.stdout.strip()[-200:]}")
    source = Path(json.loads(download.stdout)["Dir"]) / "pkg/apis/runtime/v1"
    compiled = folder / "api.bin"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={source}",
            f"--descriptor_set_out={compiled}",
            "api.proto",
        ],
        check=True,
        timeout=60,
    )
    return descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file[0]


@pytest.fixture(scope="module")
def ours() -> descriptor_pb2.FileDescriptorProto:
    """Our own description, as the generated module has it."""
    description = descriptor_pb2.FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(description)
    return description


Field = tuple[str, int, int, int, str, int | None]


def fields(message: descriptor_pb2.DescriptorProto) -> set[Field]:
    """What of a message's fields shows on the wire, or in their names."""
    return {
        (
            field.name,
            field.number,
            field.type,
            field.label,
            field.type_name,
            field.oneof_index if field.HasField("oneof_index") else None,
        )
        for field in message.field
    }


def messages(
    prefix: str, found: list[descriptor_pb2.DescriptorProto]
) -> dict[str, descriptor_pb2.DescriptorProto]:
    """All messages with those inside them (map entries) by their full name."""
    result: dict[str, descriptor_pb2.DescriptorProto] = {}
    for message in found:
        name = f"{prefix}.{message.name}"
        result |= {name: message} | messages(name, list(message.nested_type))
    return result


def enums(file: descriptor_pb2.FileDescriptorProto) -> dict[str, dict[str, int]]:
    """All enums with their values, those inside messages too."""
    found = {each.name: each for each in file.enum_type}
    for message in file.message_type:
        found |= {f"{message.name}.{each.name}": each for each in message.enum_type}
    return {name: {v.name: v.number for v in enum.value} for name, enum in found.items()}


def test_every_message_and_field_is_cris(
    published: descriptor_pb2.FileDescriptorProto, ours: descriptor_pb2.FileDescriptorProto
) -> None:
    """Names, numbers, types and labels are equal; ours may only leave fields out."""
    theirs = messages("", list(published.message_type))
    mine = messages("", list(ours.message_type))
    assert mine.keys() <= theirs.keys()
    wrong = {
        name: difference
        for name, message in mine.items()
        if (difference := fields(message) - fields(theirs[name]))
    }
    assert wrong == {}


def test_every_enum_is_cris(
    published: descriptor_pb2.FileDescriptorProto, ours: descriptor_pb2.FileDescriptorProto
) -> None:
    """Every value is there, with its number."""
    theirs = enums(published)
    assert {name: theirs.get(name) for name in enums(ours)} == enums(ours)


def test_every_call_is_cris(
    published: descriptor_pb2.FileDescriptorProto, ours: descriptor_pb2.FileDescriptorProto
) -> None:
    """Package, service, name, request and answer of each call are equal."""

    def calls(file: descriptor_pb2.FileDescriptorProto) -> set[tuple[str, str, str, str, bool]]:
        return {
            (
                f"{file.package}.{service.name}",
                method.name,
                method.input_type,
                method.output_type,
                method.server_streaming,
            )
            for service in file.service
            for method in service.method
        }

    assert calls(ours) - calls(published) == set()


def test_the_generated_modules_are_those_of_the_protos(tmp_path: Path) -> None:
    """What is committed is what regenerate.py makes: nobody edited it, nobody forgot to run it."""
    regenerate.regenerate(tmp_path)
    committed = Path(regenerate.__file__).parent
    made = sorted((tmp_path / "cri_protos").iterdir())
    assert len(made) == 6
    assert [
        each.name for each in made if (committed / each.name).read_text() != each.read_text()
    ] == []

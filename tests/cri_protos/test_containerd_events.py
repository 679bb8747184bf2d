"""Our descriptions of containerd's own services against those that containerd publishes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cri_protos import containerd_content_pb2, containerd_events_pb2

MODULE = "github.com/containerd/containerd/api@v1.8.0"
SOURCES = {
    "TaskStart": "events/task.proto",
    "TaskExit": "events/task.proto",
    "TaskOOM": "events/task.proto",
    "ContainerCreate": "events/container.proto",
    "ContainerDelete": "events/container.proto",
    "SubscribeRequest": "services/events/v1/events.proto",
    "Envelope": "types/event.proto",
    "ListStatusesRequest": "services/content/v1/content.proto",
    "ListStatusesResponse": "services/content/v1/content.proto",
    "Status": "services/content/v1/content.proto",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the Go module with containerd's descriptions."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go to fetch the module with")
    download = subprocess.run(
        ["go", "mod", "download", "-json", MODULE],
        cwd=tmp_path_factory.mktemp("containerd"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if download.returncode != 0:
        pytest.skip(f"{MODULE} cannot be fetched: {download.stdout.strip()[-200:]}")
    return Path(json.loads(download.stdout)["Dir"])


@pytest.mark.parametrize("message", SOURCES)
def test_every_field_is_containerds(source: Path, message: str) -> None:
    """Each field has the number that containerd's own description gives it."""
    text = (source / SOURCES[message]).read_text()
    body = re.search(rf"message {message} {{(.*?)\n}}", text, re.DOTALL)
    assert body is not None
    theirs = {
        (name, int(number))
        for name, number in re.findall(r"([a-z_]+) = (\d+)(?: \[[^]]*\])?;", body[1])
    }
    ours = next(
        each.DESCRIPTOR.message_types_by_name[message]
        for each in (containerd_events_pb2, containerd_content_pb2)
        if message in each.DESCRIPTOR.message_types_by_name
    )
    assert {(field.name, field.number) for field in ours.fields} <= theirs

"""Ranges of ids, one to a pod."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_config import IDRange
from edge_runtime.pods.sandbox_isolation import OutOfIDs
from edge_runtime.pods.user_namespaces import FILE_NAME, UserNamespaces, release_ids

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = PodUID("a"), PodUID("b"), PodUID("c")


async def test_no_two_pods_have_the_same_ids(tmp_path: Path) -> None:
    """Not when both ask at once, not after a restart; not the machine's own."""
    users = UserNamespaces(pods_dir=tmp_path, max_pods=2)
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(users.ids_of(uid)) for uid in (A, B)]
    found = [each.result() for each in both]
    assert sorted(each.host_id for each in found) == [65536, 131072]
    again = UserNamespaces(pods_dir=tmp_path, max_pods=2)
    assert await again.ids_of(A) == found[0]
    with pytest.raises(OutOfIDs, match="could not find an empty slot"):
        await again.ids_of(C)
    release_ids(tmp_path, A)
    release_ids(tmp_path, A)
    assert await again.ids_of(C) == found[0]


async def test_the_file_is_a_kubelets(tmp_path: Path) -> None:
    """One mapping from 0, for users and groups alike."""
    await UserNamespaces(pods_dir=tmp_path, max_pods=1).ids_of(A)
    mapping = [{"hostId": 65536, "containerId": 0, "length": 65536}]
    written = json.loads((tmp_path / "a" / FILE_NAME).read_text())
    assert written == {"uidMappings": mapping, "gidMappings": mapping}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"uidMappings": [{"hostId": null}]}'])
async def test_a_damaged_file_is_written_anew(tmp_path: Path, text: str) -> None:
    """A power cut may have left anything."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE_NAME).write_text(text)
    users = UserNamespaces(pods_dir=tmp_path, max_pods=1)
    assert await users.ids_of(A) == IDRange(host_id=65536, length=65536)

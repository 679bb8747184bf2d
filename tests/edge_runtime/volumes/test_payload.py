"""edge_runtime/volumes/payload.py."""

from __future__ import annotations

import base64
import posixpath
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.pod import Pod
from edge_runtime.volumes.payload import (
    Payload,
    ProjectedFile,
    check_payload,
    config_map_payload,
    downward_payload,
    mode_of,
    projection_of,
    raise_problems,
    secret_payload,
)
from edge_runtime.volumes.plugin import VolumeError

ALLOCATABLE = {"cpu": Fraction(2), "memory": Fraction(4 << 30)}
POD = Pod(
    {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u-1",
            "labels": {"tier": "front", "app": "web"},
        },
        "spec": {
            "containers": [
                {"name": "main", "resources": {"limits": {"cpu": "1500m"}}},
            ]
        },
    }
)


def contents(payload: Payload) -> dict[str, tuple[bytes, int]]:
    """Return the payload without what is the same everywhere."""
    return {path: (file.data, file.mode) for path, file in payload.items()}


def base64_of(data: bytes) -> str:
    """Return the data as the API writes it."""
    return base64.b64encode(data).decode()


CONFIG_MAP = {
    "data": {"a.conf": "x=ü\n", "empty": ""},
    "binaryData": {"logo.png": base64_of(b"\x89PNG\x00\xff")},
}


def test_all_keys_become_files_of_the_default_mode() -> None:
    """Text is UTF-8, binary data is what was encoded."""
    payload = config_map_payload(CONFIG_MAP, projection_of({"defaultMode": 0o400}))
    assert contents(payload) == {
        "a.conf": ("x=ü\n".encode(), 0o400),
        "empty": (b"", 0o400),
        "logo.png": (b"\x89PNG\x00\xff", 0o400),
    }


def test_items_choose_keys_paths_and_modes() -> None:
    """A key may be taken twice; the others are not there."""
    source = {
        "items": [
            {"key": "a.conf", "path": "etc/a.conf", "mode": 0o600},
            {"key": "a.conf", "path": "b.conf"},
            {"key": "logo.png", "path": "img/logo.png", "mode": 0},
        ]
    }
    payload = config_map_payload(CONFIG_MAP, projection_of(source))
    assert contents(payload) == {
        "etc/a.conf": ("x=ü\n".encode(), 0o600),
        "b.conf": ("x=ü\n".encode(), 0o644),
        "img/logo.png": (b"\x89PNG\x00\xff", 0),
    }


def test_a_projected_volumes_mode_counts_for_its_sources() -> None:
    """Its sources have none of their own."""
    payload = config_map_payload(CONFIG_MAP, projection_of({}, default_mode=0o440))
    assert {mode for _, mode in contents(payload).values()} == {0o440}


def test_a_missing_key_is_told_in_a_kubelets_words() -> None:
    """The event shows it."""
    wanted = projection_of({"items": [{"key": "gone", "path": "gone"}]})
    with pytest.raises(VolumeError, match=r"^configmap references non-existent config key: gone$"):
        config_map_payload(CONFIG_MAP, wanted)
    with pytest.raises(VolumeError, match=r"^references non-existent secret key: gone$"):
        secret_payload({"data": {"a": base64_of(b"1")}}, wanted)


def test_an_optional_key_is_left_out() -> None:
    """The rest is there."""
    items = [{"key": "gone", "path": "gone"}, {"key": "empty", "path": "here"}]
    payload = config_map_payload(CONFIG_MAP, projection_of({"items": items, "optional": True}))
    assert list(payload) == ["here"]
    assert config_map_payload({}, projection_of({"items": items, "optional": True})) == {}


def test_a_secrets_values_are_decoded() -> None:
    """They are files like any others."""
    secret = {"data": {"password": base64_of(b"s3cr\x00t")}}
    payload = secret_payload(secret, projection_of({}))
    assert contents(payload) == {"password": (b"s3cr\x00t", 0o644)}
    assert "s3cr" not in repr(payload)


def test_what_is_not_base64_is_refused_without_its_text() -> None:
    """The text may be the secret itself."""
    with pytest.raises(VolumeError) as caught:
        secret_payload({"data": {"password": "hunter2!"}}, projection_of({}))
    assert str(caught.value) == "secret key password is not base64"


def test_a_pod_is_told_of_itself() -> None:
    """Fields and resources; a limit that is not set is the node's."""
    items: list[dict[str, Any]] = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "a//name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400},
        {
            "path": "cpu",
            "resourceFieldRef": {
                "containerName": "main",
                "resource": "limits.cpu",
                "divisor": "1m",
            },
        },
        {
            "path": "memory",
            "resourceFieldRef": {
                "containerName": "main",
                "resource": "limits.memory",
                "divisor": "1Mi",
            },
        },
    ]
    payload = downward_payload(items, POD, default_mode=0o644, allocatable=ALLOCATABLE)
    assert contents(payload) == {
        "labels": (b'app="web"\ntier="front"', 0o644),
        "a/name": (b"web", 0o400),
        "cpu": (b"1500", 0o644),
        "memory": (b"4096", 0o644),
    }


def test_all_that_a_pod_cannot_be_told_is_named() -> None:
    """Not only the first."""
    items = [
        {"path": "a", "fieldRef": {"fieldPath": "status.phase"}},
        {"path": "b", "resourceFieldRef": {"containerName": "x", "resource": "limits.cpu"}},
    ]
    with pytest.raises(VolumeError) as caught:
        downward_payload(items, POD, default_mode=0o644, allocatable=ALLOCATABLE)
    assert str(caught.value) == "[unsupported fieldPath: status.phase, container x not found]"


def test_problems_are_told_once_each() -> None:
    """One is told as it is, several in brackets, none not at all."""
    raise_problems([])
    with pytest.raises(VolumeError, match=r"^one$"):
        raise_problems(["one", "one"])
    with pytest.raises(VolumeError, match=r"^\[one, two\]$"):
        raise_problems(["one", "two", "one"])


def test_the_default_mode_may_be_zero() -> None:
    """Zero is a mode; only its absence is not."""
    assert mode_of({"defaultMode": 0}) == 0
    assert mode_of({}) == 0o644


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/passwd", "must be relative path"),
        ("../up", "must not contain '..'"),
        ("a/../../up", "must not contain '..'"),
        ("a/..", "must not contain '..'"),
        ("..data", "must not start with '..'"),
        ("..data/x", "must not start with '..'"),
        ("..2026_01_01_00_00_00.1", "must not start with '..'"),
        ("a" * 256, "filenames must be less than or equal to 255 characters"),
        ("a/" * 2100 + "a", "must be less than or equal to 4096 characters"),
        ("", "must name a file"),
        (".", "must name a file"),
        ("./.", "must name a file"),
        ("a\0b", "must name a file"),
    ],
)
def test_no_path_leads_out_of_the_volume(path: str, problem: str) -> None:
    """Or to the writer's own files."""
    with pytest.raises(VolumeError) as caught:
        check_payload({path: ProjectedFile(data=b"", mode=0o644)})
    assert str(caught.value) == f"invalid path: {problem}: {path}"
    assert caught.value.is_lasting


def test_odd_but_allowed_names_stay() -> None:
    """Every character that a key may have, and some more."""
    file = ProjectedFile(data=b"", mode=0o644)
    names = ["-._aZ09", ".hidden", "...", "a..b", "b/..c", "a b", "ü", "x" * 255]
    # A name of three dots starts with two: those are the writer's own.
    names.remove("...")
    assert list(check_payload(dict.fromkeys(names, file))) == names


def test_a_file_cannot_be_a_folder_as_well() -> None:
    """Whichever was named first."""
    file = ProjectedFile(data=b"", mode=0o644)
    for paths in (["a", "a/b"], ["a/b/c", "x", "a"]):
        with pytest.raises(VolumeError, match="invalid path: a is a file, so nothing can be below"):
            check_payload(dict.fromkeys(paths, file))


@given(st.text(st.sampled_from("ab./\0~"), max_size=12))
def test_whatever_is_let_through_stays_in_the_volume(path: str) -> None:
    """Joined to a folder, it is below that folder."""
    try:
        checked = check_payload({path: ProjectedFile(data=b"", mode=0o644)})
    except VolumeError:
        return
    (clean,) = checked
    joined = posixpath.normpath(posixpath.join("/volume", clean))
    assert joined == f"/volume/{clean}"
    assert not clean.startswith("..")

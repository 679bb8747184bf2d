"""References to images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.images.image_name import ImageNameError, with_default_tag

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "library/busybox",
        "registry.k8s.io/pause",
        "localhost/x",
        "localhost:5000/a/b",
        "127.0.0.1:5000/x",
        "[::1]:5000/x",
        "a__b/c.d-e",
        "Example/x",
        "docker.io/busybox",
        "index.docker.io/busybox",
    ],
)
def test_a_name_without_tag_means_latest(image: str) -> None:
    """The name itself stays as it was written."""
    assert with_default_tag(image) == f"{image}:latest"


@pytest.mark.parametrize(
    "image",
    [
        "busybox:1",
        f"busybox@{DIGEST}",
        f"a/b:1@{DIGEST}",
        "localhost:5000/a:v1.2_x-y",
        "a:" + "x" * 128,
    ],
)
def test_a_name_with_tag_or_digest_stays(image: str) -> None:
    """There is nothing to add."""
    assert with_default_tag(image) == image


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("UPPER", "repository name (library/UPPER) must be lowercase"),
        ("reg.io/Upper:1", "repository name (Upper) must be lowercase"),
        ("b" * 64, "cannot specify 64-byte hexadecimal strings"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        ("a" * 5000, "invalid reference format"),
        ("a:" + "x" * 129, "invalid reference format"),
        ("a@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("a@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("a@md5:" + "a" * 32, "unsupported digest algorithm"),
    ],
)
def test_what_is_no_reference_is_refused(image: str, text: str) -> None:
    """In the kubelet's words."""
    with pytest.raises(ImageNameError) as refused:
        with_default_tag(image)
    assert str(refused.value).startswith(f'couldn\'t parse image name "{image}": ')
    assert text in str(refused.value)


@given(st.text(alphabet="aA1:/@._-[] \n", max_size=30))
def test_any_text_is_accepted_or_refused(image: str) -> None:
    """Nothing else happens, and what is accepted is not changed twice."""
    try:
        found = with_default_tag(image)
    except ImageNameError:
        return
    assert with_default_tag(found) == found

"""Only what the text says, and nothing that it might say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.policy.host_paths import is_below


@pytest.mark.parametrize(
    "path", ["/var/data", "/var/data/", "/var/data/a/b", "//var//data/./a", "/var/data/..a"]
)
def test_folder_and_what_is_in_it_are_below(path: str) -> None:
    """However the same path is written."""
    assert is_below(path, ("/srv", "/var/data/"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/var",
        "/var/database",
        "/var/data/../../etc",
        "/var/data/..",
        "var/data",
        "/etc/var/data",
        "/var/data\0/../../etc",
    ],
)
def test_anything_else_is_not(path: str) -> None:
    """A longer name, a way up, a relative path."""
    assert not is_below(path, ("/var/data",))


def test_no_folder_allows_nothing_and_the_root_everything() -> None:
    """The two ends of what can be configured."""
    assert not is_below("/var", ())
    assert is_below("/var", ("/",))


@given(st.text(alphabet="/.ab", max_size=20))
def test_what_is_below_stays_below_after_normalisation(path: str) -> None:
    """No spelling leads out of the folder."""
    if is_below(path, ("/a",)):
        names = [name for name in path.split("/") if name not in ("", ".")]
        assert names[0] == "a"
        assert ".." not in names

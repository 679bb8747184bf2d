"""The picture in the README is of the page as it is."""

from __future__ import annotations

from pathlib import Path
from xml.dom import minidom

from tests.provider.status_page.picture import example, picture

ROOT = Path(__file__).parents[3]
PICTURE = "docs/status-page.svg"


def test_the_readme_shows_the_page_as_it_is() -> None:
    """Whoever changes the page makes the picture anew."""
    command = f"python -m tests.provider.status_page.picture > {PICTURE}"
    assert (ROOT / PICTURE).read_text() == picture(example()), f"run {command}"
    assert f"({PICTURE})" in (ROOT / "README.md").read_text()


def test_it_is_a_picture_of_its_own() -> None:
    """XML throughout, the chart is one of its namespace, and nothing is loaded from elsewhere."""
    # Our own text: nothing in it can be hostile.
    root = minidom.parseString(picture(example())).documentElement  # noqa: S318
    assert root is not None
    spaces = {each.getAttribute("xmlns") for each in (root, *root.getElementsByTagName("svg"))}
    assert spaces == {"http://www.w3.org/2000/svg"}
    assert not root.getElementsByTagName("script")
    for name in ("src", "href"):
        assert f"{name}=" not in picture(example())

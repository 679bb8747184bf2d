"""Prometheus' own parser reads what we write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.stats.metric_family import Family, render_families, render_labels


def test_a_sample_has_labels_value_and_milliseconds() -> None:
    """Byte for byte, as the format's description has it."""
    family = Family("a_bytes", "gauge", "What a has.")
    family.add(render_labels({"pod": "p"}), 7, at_ns=1_234_567_890)
    family.add("", 0.5)
    assert render_families([family]) == (
        b'# HELP a_bytes What a has.\n# TYPE a_bytes gauge\na_bytes{pod="p"} 7 1234\na_bytes 0.5\n'
    )


def test_a_family_without_samples_is_left_out() -> None:
    """An empty family would only be noise."""
    assert render_families([Family("a", "gauge", "A.")]) == b""


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_label_value_is_read_back(value: str) -> None:
    r"""Quotes, backslashes and line feeds among them."""
    family = Family("a", "gauge", "A.")
    family.add(render_labels({"v": value}), 1)
    text = render_families([family]).decode()
    found = [each for each in text_string_to_metric_families(text) if each.samples]
    assert found[0].samples[0].labels == {"v": value}

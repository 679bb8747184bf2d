"""What the edge of one session is sent: what differs, once, with what it lost."""

from __future__ import annotations

from provider.pods.desired_state import compute_revision
from provider.pods.sync_session import SyncSession
from tests.fakes.fake_edge import make_hello
from tests.fakes.reports import make_pod

POD = make_pod("a", uid="a")
REVISION = compute_revision(POD)


def _session(**known: str) -> SyncSession:
    return SyncSession(make_hello(pods=known))


def test_pod_that_the_edge_has_is_not_sent() -> None:
    """Only one of another revision is, and then once."""
    assert _session(a=REVISION).pod_put("a", POD, revision=REVISION) is None
    session = _session(a="old")
    put = session.pod_put("a", POD, revision=REVISION)
    assert put is not None
    assert (put.uid, put.revision) == ("a", REVISION)
    assert session.pod_put("a", POD, revision=REVISION) is None


def test_status_goes_with_a_pod_until_the_edge_has_stored_it() -> None:
    """A message may take the place of the one before, which was never sent."""
    session = _session()
    changed = make_pod("a", uid="a", labels={"x": "y"})
    for pod in (POD, changed):
        put = session.pod_put("a", pod, revision=compute_revision(pod))
        assert put is not None
        assert put.pod["status"]["phase"] == "Pending"
    session.pod_stored("a")
    put = session.pod_put("a", POD, revision=REVISION)
    assert put is not None
    assert put.pod["status"] == {}


def test_pod_that_is_there_again_is_sent_with_its_status() -> None:
    """The edge was told to forget it in between."""
    session = _session(a=REVISION)
    session.pod_deleted("a")
    put = session.pod_put("a", POD, revision=REVISION)
    assert put is not None
    assert put.pod["status"]["phase"] == "Pending"


def test_pods_that_only_the_edge_knows_are_doubted_until_it_is_settled() -> None:
    """Before the list is complete nothing is."""
    session = _session(a="1", b="2")
    assert (session.is_started, session.doubted) == (False, None)
    session.start(["a", "c"])
    assert (session.is_started, session.doubted) == (True, {"b"})
    session.settle()
    assert (session.is_started, session.doubted) == (True, None)

"""The identity folder: what is written, what is refused, who may look."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.certificate_request import Wanted, make_request
from edge_runtime.uplink.credentials import CredentialsError
from edge_runtime.uplink.identity_files import (
    IdentityFiles,
    IdentityFolderError,
    JoinedSite,
    without_note,
)
from tests.fakes.enrolling_provider import EnrollingProvider
from tunnel.enrolment import IssuedCertificate
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from pathlib import Path

SITE = parse_site_name("site-a")
JOINED = JoinedSite(site="site-a", server="cloud.example:10443")


@pytest.fixture
def files(tmp_path: Path) -> IdentityFiles:
    """A folder that is there, and holds nothing."""
    made = IdentityFiles(tmp_path / "edgelet")
    with made.locked():
        return made


def issue() -> tuple[bytes, IssuedCertificate]:
    """Return a key and its certificate."""
    request = make_request(Wanted(site=SITE))
    return request.key.encode(), EnrollingProvider(SITE).issue(request.csr)


def test_what_is_kept_is_found_again(files: IdentityFiles) -> None:
    """And nobody but its owner reads it."""
    key, issued = issue()
    files.keep_pending(key, note="of a test")
    files.keep(key, issued, joined=JOINED)

    assert files.has_identity()
    assert files.joined_site() == JOINED
    assert files.credentials().site == SITE
    assert without_note(files.pending_key() or b"") == key
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()}
    assert modes == {0o600}


def test_certificate_of_another_key_changes_nothing(files: IdentityFiles) -> None:
    """The identity of before stays in force."""
    key, issued = issue()
    files.keep(key, issued, joined=JOINED)
    before = files.read_identity()

    with pytest.raises(CredentialsError, match="its own key"):
        files.keep(make_request(Wanted(site=SITE)).key.encode(), issued)

    assert files.read_identity() == before
    assert {path.name for path in files.folder.iterdir()} == {
        "identity.pem",
        "ca.crt",
        "site.json",
    }


def test_certificate_of_another_ca_changes_nothing(files: IdentityFiles) -> None:
    """Nobody would accept it."""
    key, issued = issue()
    _, other = issue()

    with pytest.raises(CredentialsError, match="is not accepted by the CA"):
        files.keep(
            key,
            IssuedCertificate(certificate=issued.certificate, authorities=other.authorities),
        )

    assert not files.has_identity()


def test_identity_of_another_site_is_refused_by_a_running_edge(files: IdentityFiles) -> None:
    """Its pods are those of the first one."""
    key, issued = issue()
    files.keep(key, issued)

    with pytest.raises(CredentialsError, match="restart edgelet to serve the new site"):
        files.credentials(site=parse_site_name("site-b"))


def test_folder_that_others_could_enter_is_closed(files: IdentityFiles) -> None:
    """A backup was unpacked, perhaps."""
    files.folder.chmod(0o755)

    with files.locked():
        assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


def test_symbolic_link_is_not_written_through(files: IdentityFiles, tmp_path: Path) -> None:
    """Whoever could place one would choose where the key goes."""
    target = tmp_path / "elsewhere"
    (files.folder / "pending.key.new").symlink_to(target)

    with pytest.raises(IdentityFolderError, match=r"pending\.key\.new"):
        files.keep_pending(b"key", note="of a test")

    assert not target.exists()


def test_damaged_note_of_the_join_is_said(files: IdentityFiles) -> None:
    """One sentence that names the file."""
    files.site_file.write_text("{")

    with pytest.raises(IdentityFolderError, match=r"site\.json is damaged"):
        files.joined_site()


def test_one_process_at_a_time(files: IdentityFiles) -> None:
    """The other one is told at once."""
    with files.locked(), pytest.raises(IdentityFolderError, match="another process"):
        IdentityFiles(files.folder.parent).locked().__enter__()
    with files.locked():
        pass

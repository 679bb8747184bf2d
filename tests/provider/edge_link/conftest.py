"""What the tests of the edge port share."""

from __future__ import annotations

import pytest

from tests.fakes.site_pki import SitePki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SitePki:
    """Make one site's certificates once."""
    return SitePki(tmp_path_factory.mktemp("site-a"), site="site-a")

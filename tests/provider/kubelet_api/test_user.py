"""Who counts as authenticated."""

from __future__ import annotations

import pytest

from provider.kubelet_api.user import ALL_AUTHENTICATED, User, authenticated


def test_a_known_caller_is_authenticated() -> None:
    """RBAC often binds the group of all who are known."""
    user = authenticated(User(name="jane", groups=("devs",), uid="7"))
    assert user == User(name="jane", groups=("devs", ALL_AUTHENTICATED), uid="7")


@pytest.mark.parametrize("group", [ALL_AUTHENTICATED, "system:unauthenticated"])
def test_who_is_in_either_group_stays_as_is(group: str) -> None:
    """Nobody is in the group twice, and nobody in both."""
    user = User(name="jane", groups=(group,))
    assert authenticated(user) is user

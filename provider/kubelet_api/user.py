"""Who calls, in Kubernetes' terms."""

from __future__ import annotations

import dataclasses

ALL_AUTHENTICATED = "system:authenticated"
_ALL_UNAUTHENTICATED = "system:unauthenticated"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A caller that is known.

    Attributes:
        name: As RBAC names it.
        groups: Those too.
        uid: Tells users of one name apart in time; mostly "".
        extra: What else the authenticator said, handed on to the authorizer as it is: keys with
            their values.
    """

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def authenticated(user: User) -> User:
    """Return the user as a member of ``system:authenticated``.

    Source: kubernetes apiserver pkg/authentication/group/authenticated_group_adder.go.
    """
    if {ALL_AUTHENTICATED, _ALL_UNAUTHENTICATED}.intersection(user.groups):
        return user
    return dataclasses.replace(user, groups=(*user.groups, ALL_AUTHENTICATED))

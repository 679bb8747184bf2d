"""Why there is no certificate: one trouble each, with what to do and the exit status that tells it.

The exit statuses are an interface: scripts branch on them, so a number never changes its meaning.
"""

from __future__ import annotations

import enum

from tunnel.enrolment import RefusalReason


class Trouble(enum.Enum):
    """What stands between an edge and its certificate.

    Attributes:
        exit_status: Of ``edgelet join``.
        remedy: What to do about it.
    """

    OTHER = (1, "")
    BAD_TOKEN_SHAPE = (10, "pass the whole line that edgelet-provider token create printed")
    WRONG_HASH = (11, "check --server, or make a new token: this one may be of before a CA change")
    BAD_TOKEN = (12, "make a new one with edgelet-provider token create")
    TOKEN_EXPIRED = (13, "make a new one with edgelet-provider token create")
    TOKEN_USED = (14, "make a new one with edgelet-provider token create, one for each machine")
    TOKEN_REVOKED = (15, "make a new one with edgelet-provider token create")
    OTHER_SITE = (16, "use the token and the --server of one site")
    CLOCK_SKEW = (17, "set this machine's clock, or the provider's, and try again")
    UNREACHABLE = (18, "check --server, the network and the firewall between here and there")
    NOT_EDGELET = (19, "check --server: it is the address of the provider's edge port")
    INTERCEPTED = (20, "let the connection pass unopened, or go around the proxy with NO_PROXY")
    ALREADY_JOINED = (21, "run edgelet, or join anew with --force")
    FOLDER = (22, "run as root, or let rootDirectory be a folder that can be written")
    SITE_HAS_EDGE = (
        23,
        "if this machine takes that one's place, use the token of edgelet-provider site replace",
    )
    BUSY = (24, "try again in a minute")
    BAD_ANSWER = (25, "look at the versions of edgelet on both ends")
    PROXY = (26, "check HTTPS_PROXY and NO_PROXY")
    # Of a certificate: final for the machine that has it.
    REVOKED = (27, "if this machine is to come back, join it anew with --force and a new token")
    SUPERSEDED = (
        28,
        "another machine has this identity, perhaps from a copy of this disk: make sure which of "
        "them is the site, then join that one anew with --force and a token of "
        "edgelet-provider site replace",
    )
    UNKNOWN = (29, "join this machine anew with --force and a new token")
    RECOVERY_TOO_LATE = (30, "join this machine anew with --force and a new token")
    EXPIRED = (31, "edgelet run recovers it by itself")
    # Python's TLS servers refuse a client certificate like this, without the alert that says so.
    HUNG_UP = (32, "run the same command again, it takes up where it was")
    # The other one may be switched off at any moment: worth asking again.
    DUPLICATE = (33, "stop one of the two machines, or join one of them to a site of its own")

    def __init__(self, exit_status: int, remedy: str) -> None:
        self.exit_status = exit_status
        self.remedy = remedy


REFUSALS = {
    RefusalReason.BAD_REQUEST: Trouble.BAD_ANSWER,
    RefusalReason.BAD_TOKEN: Trouble.BAD_TOKEN,
    RefusalReason.TOKEN_EXPIRED: Trouble.TOKEN_EXPIRED,
    RefusalReason.TOKEN_USED: Trouble.TOKEN_USED,
    RefusalReason.TOKEN_REVOKED: Trouble.TOKEN_REVOKED,
    RefusalReason.OTHER_SITE: Trouble.OTHER_SITE,
    RefusalReason.SITE_HAS_EDGE: Trouble.SITE_HAS_EDGE,
    RefusalReason.CERTIFICATE_REVOKED: Trouble.REVOKED,
    RefusalReason.CERTIFICATE_SUPERSEDED: Trouble.SUPERSEDED,
    RefusalReason.CERTIFICATE_UNKNOWN: Trouble.UNKNOWN,
    RefusalReason.CERTIFICATE_EXPIRED: Trouble.EXPIRED,
    RefusalReason.NO_CERTIFICATE: Trouble.INTERCEPTED,
    RefusalReason.DUPLICATE_SITE: Trouble.DUPLICATE,
    RefusalReason.RECOVERY_TOO_LATE: Trouble.RECOVERY_TOO_LATE,
    RefusalReason.TOO_MANY_REQUESTS: Trouble.BUSY,
    RefusalReason.UNAVAILABLE: Trouble.BUSY,
}

# Asking again changes nothing until a person has done something.
FINAL = frozenset(
    {
        Trouble.REVOKED,
        Trouble.SUPERSEDED,
        Trouble.UNKNOWN,
        Trouble.RECOVERY_TOO_LATE,
        Trouble.OTHER_SITE,
        Trouble.BAD_ANSWER,
    }
)


class EnrolmentError(Exception):
    """There is no certificate; the text is one sentence, with what to do at its end.

    Attributes:
        trouble: Which one.
        retry_after_s: What the provider asks to be waited, in seconds; 0 for nothing.
    """

    def __init__(self, trouble: Trouble, what: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{what}: {trouble.remedy}" if trouble.remedy else what)
        self.trouble = trouble
        self.retry_after_s = retry_after_s

    @property
    def is_final(self) -> bool:
        """Whether asking again is of no use."""
        return self.trouble in FINAL


def one_line(text: str) -> str:
    """Return what a provider says without what could confuse a terminal or a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300]).strip(" .")

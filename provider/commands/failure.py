"""How a command ends without success: one sentence on stderr, and a status that says whose turn."""

from __future__ import annotations

import sys
import typing

import typer
from typer.core import TyperGroup

# The server, the cluster or the site's state stands in the way; the same call may work later.
EXIT_FAILED = 1
# What was asked for cannot be: arguments, the configuration, or what it names.
EXIT_BAD_INPUT = 2


class CommandFailed(Exception):
    """The command cannot do what it was asked for; the message is one sentence."""


class BadInput(CommandFailed):
    """It never could, as it was asked."""


class FailingGroup(TyperGroup):
    """A group whose commands end with a sentence when they raise ``CommandFailed``."""

    # typer's own type of the context is private, and a command may return anything.
    def invoke(self, ctx: typing.Any) -> typing.Any:  # noqa: ANN401
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BadInput as exc:
            fail(EXIT_BAD_INPUT, str(exc))
        except CommandFailed as exc:
            fail(EXIT_FAILED, str(exc))


def fail(status: int, sentence: str) -> typing.NoReturn:
    """End the process with this status and sentence."""
    typer.echo(f"edgelet-provider: {sentence}", err=True)
    sys.exit(status)

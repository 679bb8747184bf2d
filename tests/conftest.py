"""Fail every test that leaves an asyncio task behind.

A task that nobody awaits hides its failure and works on in the next test. Tasks that a fixture
started before the test are the fixture's own; only what the test itself started counts.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, and how long it is looked for, tell of the machine's load, not of the
# code.
settings.register_profile("edgelet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgelet")

TestFunction = Callable[..., Awaitable[None]]


def _refuse_leaks(function: TestFunction) -> TestFunction:
    """Wrap a coroutine test so that a task it started and did not end fails it."""

    @functools.wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # a test's own arguments
        before = asyncio.all_tasks()
        await function(*args, **kwargs)
        # A task cancelled in the test's last statement ends in the next turn of the loop.
        await asyncio.sleep(0)
        leaked = [task for task in asyncio.all_tasks() - before if not task.done()]
        if leaked:
            names = "\n".join(f"  {task!r}" for task in leaked)
            pytest.fail(f"the test left {len(leaked)} asyncio task(s) behind:\n{names}")

    checked.refuses_leaks = True  # type: ignore[attr-defined]
    return checked


def _is_unchecked(function: object) -> bool:
    """Tell a coroutine test not wrapped yet: parametrized items share one hypothesis test."""
    return inspect.iscoroutinefunction(function) and not hasattr(function, "refuses_leaks")


def pytest_configure(config: pytest.Config) -> None:  # pytest's own signature
    """Let nobody make an event loop by asking for one: pytest-asyncio does and never closes it."""
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Wrap every coroutine test, plain or under hypothesis."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        hypothesis = getattr(item.obj, "hypothesis", None)
        if _is_unchecked(item.obj):
            item.obj = _refuse_leaks(item.obj)
        elif hypothesis is not None and _is_unchecked(hypothesis.inner_test):
            hypothesis.inner_test = _refuse_leaks(hypothesis.inner_test)

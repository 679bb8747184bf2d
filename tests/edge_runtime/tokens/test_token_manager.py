"""Pods have their tokens: from the cloud, from the disk while it is away, always in time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.store.database import Database
from edge_runtime.store.pod_store import PodStore
from edge_runtime.store.token_store import TokenStore
from edge_runtime.tokens.errors import TokenUnavailable
from edge_runtime.tokens.token_answer import format_unix_time_s
from edge_runtime.tokens.token_manager import ServiceTokens
from tunnel.sync import TokenPut, TokenWant, token_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import looptime

    from edge_runtime.store.token_store import StoredToken

NOW_S = 1_800_000_000.0
POD = Pod(
    {"metadata": {"uid": "u", "name": "p"}, "spec": {"serviceAccountName": "sa", "containers": []}}
)
WANT = TokenWant(pod_uid="u", service_account="sa", audiences=["vault"], expiry_s=3600)
KEY = token_key(WANT)


def _answer(
    token: str = "t1",  # noqa: S107  # no password
    *,
    key: str = KEY,
    issued_at_s: float = NOW_S,
    life_s: float = 3600,
) -> TokenPut:
    return TokenPut(
        key=key,
        token=token,
        expiry=format_unix_time_s(issued_at_s + life_s),
        issued_at=format_unix_time_s(issued_at_s),
    )


def _refusal(error: str) -> TokenPut:
    return TokenPut(key=KEY, token="", expiry="", error=error)


class _Clocks:
    """The wall clock and the machine's uptime go with the loop's virtual time."""

    def __init__(self) -> None:
        self.offset_s = NOW_S

    def now(self) -> float:
        return self.offset_s + self.uptime()

    def uptime(self) -> float:
        return asyncio.get_running_loop().time()


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "edgelet.db")
    yield opened
    opened.close()


class _TimelessStore(TokenStore):
    """A disk that costs no time: virtual time would run on while a thread writes."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredToken] = {}

    async def load(self) -> dict[str, StoredToken]:
        return dict(self.kept)

    async def put(self, stored: StoredToken) -> None:
        self.kept[token_key(stored.want)] = stored


@pytest.fixture(name="timeless")
async def _timeless(clocks: _Clocks) -> ServiceTokens:
    return ServiceTokens(_TimelessStore(), now=clocks.now, uptime=clocks.uptime, chance=lambda: 0.0)


@pytest.fixture(name="clocks")
def _clocks() -> _Clocks:
    return _Clocks()


@pytest.fixture(name="tokens")
async def _tokens(database: Database, clocks: _Clocks) -> ServiceTokens:
    return await _restarted(database, clocks)


async def _restarted(database: Database, clocks: _Clocks) -> ServiceTokens:
    tokens = ServiceTokens(
        TokenStore(database), now=clocks.now, uptime=clocks.uptime, chance=lambda: 0.0
    )
    await tokens.load()
    return tokens


async def _get(tokens: ServiceTokens, *, audience: str = "vault") -> str:
    return await tokens.token(POD, audience=audience, expiry_s=3600)


@contextlib.asynccontextmanager
async def _running(tokens: ServiceTokens) -> AsyncIterator[list[TokenWant]]:
    """Run it, and collect what it asks for."""
    asked: list[TokenWant] = []
    changes = tokens.changed()

    async def collect() -> None:
        async for want in changes:
            asked.append(want)  # noqa: PERF401  # it never ends by itself

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(tokens.run()), group.create_task(collect())]
        yield asked
        for task in tasks:
            task.cancel()


async def test_first_token_is_asked_for_and_waited_for(tokens: ServiceTokens) -> None:
    """Once, though two volumes want the same."""
    changes = tokens.changed()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(_get(tokens)) for _ in range(2)]
        assert await anext(changes) == WANT
        assert tokens.wants() == [WANT]
        await tokens.put(_answer())
    assert [each.result() for each in waiting] == ["t1", "t1"]
    assert tokens.wants() == []
    assert tokens.expiries() == {KEY: format_unix_time_s(NOW_S + 3600)}
    assert await _get(tokens) == "t1"


async def test_token_for_the_api_server_names_no_audience(tokens: ServiceTokens) -> None:
    """The API server puts its own there."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_get(tokens, audience=""))
        want = await anext(tokens.changed()) if not tokens.wants() else tokens.wants()[0]
        assert want.audiences == []
        await tokens.put(_answer(key=token_key(want)))
    assert waiting.result() == "t1"


@pytest.mark.looptime
async def test_without_the_cloud_the_first_token_is_waited_for_ten_seconds(
    timeless: ServiceTokens, looptime: looptime.LoopTimeEventLoop
) -> None:
    """Then its volume says why it is not ready; the want stays, for when the cloud is back."""
    with pytest.raises(TokenUnavailable, match="no token yet: the cloud is away"):
        await _get(timeless)
    assert looptime == 10
    assert timeless.wants() == [WANT]


async def test_refusal_is_told_in_the_api_server_s_words(tokens: ServiceTokens) -> None:
    """At once; the next try asks anew, and is given what the API server gives then."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_expect_refusal(tokens))
        await _until_wanted(tokens)
        await tokens.put(_refusal('serviceaccounts "sa" not found'))
    assert waiting.result() == 'serviceaccounts "sa" not found'
    assert tokens.wants() == []
    async with asyncio.TaskGroup() as group:
        again = group.create_task(_get(tokens))
        await _until_wanted(tokens)
        await tokens.put(_answer())
    assert again.result() == "t1"


async def _expect_refusal(tokens: ServiceTokens) -> str:
    with pytest.raises(TokenUnavailable) as refused:
        await _get(tokens)
    return str(refused.value)


async def _until_wanted(tokens: ServiceTokens) -> None:
    while not tokens.wants():  # noqa: ASYNC110  # the other task's next step
        await asyncio.sleep(0)


async def _given(tokens: ServiceTokens, answer: TokenPut) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_get(tokens))
        await _until_wanted(tokens)
        await tokens.put(answer)


async def test_token_survives_a_reboot_without_the_cloud(
    database: Database, tokens: ServiceTokens, clocks: _Clocks
) -> None:
    """Also one that has expired meanwhile: the pod starts with what it had."""
    await _given(tokens, _answer())
    clocks.offset_s += 7 * 86400
    restarted = await _restarted(database, clocks)
    assert await _get(restarted) == "t1"
    assert restarted.expiries() == {KEY: format_unix_time_s(NOW_S + 3600)}
    async with _running(restarted) as asked:
        while not asked:  # noqa: ASYNC110  # the other task's next step
            await asyncio.sleep(0)
    assert asked == restarted.wants() == [WANT]


@pytest.mark.looptime
async def test_token_is_renewed_at_four_fifths_of_its_life(
    timeless: ServiceTokens, looptime: looptime.LoopTimeEventLoop
) -> None:
    """The pod has the old one until the new one is on disk, and is told then."""
    told: list[PodUID] = []
    timeless.on_change = told.append
    changes = timeless.changed()
    async with _running(timeless):
        await _given(timeless, _answer())
        del told[:]
        assert await anext(changes) == WANT
        assert looptime == pytest.approx(2880, abs=1)
        assert await _get(timeless) == "t1"
        await timeless.put(_answer("t2", issued_at_s=NOW_S + 2880))
        assert await _get(timeless) == "t2"
        assert told == [PodUID("u")]
        assert await anext(changes) == WANT
        assert looptime == pytest.approx(2 * 2880, abs=2)


@pytest.mark.looptime
async def test_clock_that_is_wrong_does_not_hurry_a_renewal(
    timeless: ServiceTokens, clocks: _Clocks, looptime: looptime.LoopTimeEventLoop
) -> None:
    """A token that just came is new, whatever this machine's clock says of it."""
    clocks.offset_s += 30 * 86400
    changes = timeless.changed()
    async with _running(timeless):
        await _given(timeless, _answer())
        await anext(changes)
        assert looptime == pytest.approx(2880, abs=1)


@pytest.mark.looptime
async def test_answer_that_does_not_come_is_asked_for_again(
    timeless: ServiceTokens, looptime: looptime.LoopTimeEventLoop
) -> None:
    """After 10, 20 and 40 s more: a want or its answer may be lost with a link."""
    changes = timeless.changed()
    times: list[float] = []
    async with _running(timeless):
        with pytest.raises(TokenUnavailable):
            await _get(timeless)
        for _ in range(4):
            assert await anext(changes) == WANT
            times.append(asyncio.get_running_loop().time())
    assert times == pytest.approx([10, 10, 30, 70], abs=1)


@pytest.mark.looptime
async def test_refused_renewal_leaves_the_token_and_is_tried_again(
    timeless: ServiceTokens, looptime: looptime.LoopTimeEventLoop
) -> None:
    """A service account that comes back is noticed."""
    changes = timeless.changed()
    async with _running(timeless):
        await _given(timeless, _answer())
        await anext(changes)
        await timeless.put(_refusal("forbidden"))
        assert await _get(timeless) == "t1"
        assert await anext(changes) == WANT
        assert looptime == pytest.approx(2890, abs=2)


async def test_pod_that_is_gone_leaves_no_token(
    database: Database, tokens: ServiceTokens, clocks: _Clocks
) -> None:
    """In memory, on the disk, or by an answer that comes late."""
    await _given(tokens, _answer())
    tokens.forget(PodUID("u"))
    await PodStore(database).bury(PodUID("u"), gone_sequence=1)
    await tokens.put(_answer())
    assert (tokens.expiries(), tokens.wants()) == ({}, [])
    assert (await _restarted(database, clocks)).expiries() == {}


async def test_token_that_is_written_while_its_pod_goes_does_not_stay(
    database: Database, tokens: ServiceTokens, clocks: _Clocks
) -> None:
    """The answer's row comes after the pod's end, and goes with it all the same."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await _get(tokens)
    async with asyncio.TaskGroup() as group:
        group.create_task(tokens.put(_answer()))
        await asyncio.sleep(0)
        tokens.forget(PodUID("u"))
    assert tokens.expiries() == {}
    assert (await _restarted(database, clocks)).expiries() == {}


async def test_answer_that_nobody_asked_for_is_not_kept(tokens: ServiceTokens) -> None:
    """Nor what names another key than was wanted."""
    await tokens.put(_answer())
    assert tokens.expiries() == {}


async def test_wants_that_were_answered_meanwhile_are_not_told(tokens: ServiceTokens) -> None:
    """A slow stream asks only for what is still missing."""
    changes = tokens.changed()
    await _given(tokens, _answer())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(changes)


async def test_token_is_in_no_text_of_ours(tokens: ServiceTokens, database: Database) -> None:
    """Values are logged by their repr."""
    await _given(tokens, _answer("eyJhbGciOi"))
    assert "eyJhbGciOi" not in repr(await TokenStore(database).load())

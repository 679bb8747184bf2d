"""Nothing that is secret is readable in the edge's files, whatever version, key or power cut."""

from __future__ import annotations

import base64
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.store import sealed_rows
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged, StoreError
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.pod_store import PodStore
from edge_runtime.store.sealing_key import FileKey, SealingKeyError
from edge_runtime.store.token_store import StoredToken, TokenStore
from tunnel.sync import ObjectForget, ObjectPut, TokenWant, token_key

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct-horse-battery-staple"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.cGF5bG9hZA.c2lnbmF0dXJl"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()
SECRET = {"kind": "Secret", "data": {"password": ENCODED}, "metadata": {"name": "a"}}
PUT = ObjectPut(kind="Secret", namespace="ns", name="a", revision="r1", object=SECRET)
CONFIG = ObjectPut(
    kind="ConfigMap", namespace="ns", name="c", revision="r1", object={"data": {"k": "not-secret"}}
)
WANT = TokenWant(pod_uid="u", service_account="sa", audiences=[], expiry_s=3600)
STORED = StoredToken(want=WANT, token=TOKEN, expiry="2026-01-01T01:00:00Z", issued_at="")


def _strings(path: Path) -> bytes:
    """Return all that the database's files hold."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")))


def _assert_nothing_readable(path: Path) -> None:
    found = _strings(path)
    for secret in (PASSWORD, ENCODED, ENCODED[4:-4], TOKEN, TOKEN[5:30]):
        assert secret.encode() not in found


async def _read_secret(database: Database) -> object:
    store = ObjectStore(database)
    await store.load()
    found = store.get(kind="Secret", namespace="ns", name="a")
    return found.json if found is not None else None


async def test_no_secret_is_in_the_files_at_any_time(path: Path) -> None:
    """While they are open with the -wal, after a change, after a removal, after the end."""
    database = Database(path)
    objects, tokens = ObjectStore(database), TokenStore(database)
    await objects.put(PUT)
    await objects.put(CONFIG)
    await tokens.put(STORED)
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    assert b"not-secret" in _strings(path)
    _assert_nothing_readable(path)
    await objects.put(msgspec.structs.replace(PUT, revision="r2"))
    await objects.forget(ObjectForget(kind="Secret", namespace="ns", name="a"))
    await PodStore(database).remove(PodUID("u"))
    _assert_nothing_readable(path)
    database.close()
    _assert_nothing_readable(path)


async def test_what_is_deleted_is_overwritten(path: Path) -> None:
    """Whoever gets the key later does not bring back what was taken away before."""
    database = Database(path)
    tokens = TokenStore(database)
    await tokens.put(STORED)
    [row] = await database.run(lambda c: c.execute("SELECT token FROM tokens").fetchall())
    await tokens.remove_pod(PodUID("u"))
    database.close()
    assert row[0] not in _strings(path)


async def test_sealed_values_are_read_back(path: Path) -> None:
    """By the next process."""
    database = Database(path)
    await ObjectStore(database).put(PUT)
    await TokenStore(database).put(STORED)
    database.close()
    database = Database(path)
    assert await _read_secret(database) == SECRET
    assert await TokenStore(database).load() == {token_key(WANT): STORED}
    database.close()


async def _earlier_version(path: Path) -> None:
    """Write a database as it was before anything was sealed; some of it in free pages."""
    database = Database(path)
    body = msgspec.json.encode(SECRET)
    sql = "INSERT INTO objects VALUES (?, 'ns', ?, 'r1', ?)"
    many = [("Secret", f"gone-{i}", msgspec.json.encode(SECRET | {"n": i})) for i in range(200)]
    await database.write(sql, [("Secret", "a", body), ("ConfigMap", "c", b'{"data":{}}')])
    await database.write(sql, [("Secret", "missing", b""), *many])
    await database.run(lambda connection: connection.execute("DELETE FROM sealing"))
    database.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("DELETE FROM objects WHERE name LIKE 'gone-%'")
    for table in ("sealing", "tokens", "services"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(
        "DELETE FROM _sqlite_migrations WHERE name IN ('create_sealing', 'create_services')"
    )
    connection.commit()
    connection.close()
    path.with_name("sealing.key").unlink()
    assert ENCODED.encode() in _strings(path)


async def test_database_of_an_earlier_version_is_sealed_and_wiped(path: Path) -> None:
    """Rows, free pages and the -wal; all that was known is still known."""
    await _earlier_version(path)
    database = Database(path)
    _assert_nothing_readable(path)
    store = ObjectStore(database)
    await store.load()
    assert await _read_secret(database) == SECRET
    assert sorted(store.revisions()) == ["ConfigMap/ns/c", "Secret/ns/a", "Secret/ns/missing"]
    database.close()
    _assert_nothing_readable(path)


async def test_power_cut_before_the_wipe_is_taken_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows were sealed, but what they replaced was still there."""
    await _earlier_version(path)

    def cut(_: sqlite3.Connection) -> None:
        raise StoreError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(sealed_rows, "_wipe", cut)
        for _ in range(2):
            with pytest.raises(StoreError, match="power cut"):
                Database(path)
    assert ENCODED.encode() in _strings(path)
    database = Database(path)
    _assert_nothing_readable(path)
    assert await _read_secret(database) == SECRET
    database.close()


async def test_wipe_is_done_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes the whole file; a start does not."""
    Database(path).close()
    wipes: list[object] = []
    monkeypatch.setattr(sealed_rows, "_wipe", wipes.append)
    Database(path).close()
    assert wipes == []


async def _sealed(path: Path) -> None:
    database = Database(path)
    await ObjectStore(database).put(PUT)
    await ObjectStore(database).put(CONFIG)
    await TokenStore(database).put(STORED)
    database.close()


async def test_lost_key_costs_what_it_sealed_and_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Hello then names neither, so the cloud sends the Secret, and the pod asks for a token."""
    await _sealed(path)
    path.with_name("sealing.key").unlink()
    database = Database(path)
    store = ObjectStore(database)
    await store.load()
    assert store.revisions() == {"ConfigMap/ns/c": "r1"}
    assert await TokenStore(database).load() == {}
    assert "the sealing key is gone, and with it what it sealed" in caplog.messages
    await store.put(PUT)
    database.close()
    database = Database(path)
    assert await _read_secret(database) == SECRET
    database.close()


async def test_power_cut_while_a_lost_key_is_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the new key was on disk yet or not, the next start goes on."""
    await _sealed(path)
    key_file = path.with_name("sealing.key")
    key_file.unlink()

    def cut(*_: object, **__: object) -> None:
        raise StoreError("power cut")

    for place in ("configured.make", "_seal"):
        with monkeypatch.context() as patch:
            if place == "_seal":
                patch.setattr(sealed_rows, "_seal", cut)
            else:
                patch.setattr(FileKey, "make", cut)
            with pytest.raises(StoreError, match="power cut"):
                Database(path)
    database = Database(path)
    assert list(await _revisions(database)) == ["ConfigMap/ns/c"]
    database.close()


async def _revisions(database: Database) -> dict[str, str]:
    store = ObjectStore(database)
    await store.load()
    return store.revisions()


async def test_wrong_key_is_refused_and_changes_nothing(path: Path) -> None:
    """As after a restore of half a backup: the right key may still be found."""
    await _sealed(path)
    key_file = path.with_name("sealing.key")
    right = key_file.read_bytes()
    key_file.unlink()
    FileKey(key_file).make()
    before = _strings(path)
    with pytest.raises(SealingKeyError, match="is not the key that this database is sealed with"):
        Database(path)
    assert _strings(path) == before
    key_file.write_bytes(right)
    database = Database(path)
    assert await _read_secret(database) == SECRET
    database.close()


async def test_key_that_was_put_elsewhere_is_awaited(path: Path) -> None:
    """Its disk may not be mounted yet: nothing is forgotten, and the edge says what it lacks."""
    elsewhere = path.with_name("usb.key")
    database = Database(path, keys=(FileKey(elsewhere, is_awaited=True),))
    await ObjectStore(database).put(PUT)
    database.close()
    elsewhere.rename(path.with_name("unplugged"))
    with pytest.raises(
        SealingKeyError, match=r"the sealing key .*usb\.key is missing: put the right"
    ):
        Database(path, keys=(FileKey(elsewhere, is_awaited=True),))
    assert not elsewhere.exists()
    path.with_name("unplugged").rename(elsewhere)
    database = Database(path, keys=(FileKey(elsewhere, is_awaited=True),))
    assert await _read_secret(database) == SECRET
    database.close()


async def test_key_moves_to_another_place(path: Path) -> None:
    """What was sealed with the old one is sealed with the new one, and the old one goes."""
    await _sealed(path)
    old, new = FileKey(path.with_name("sealing.key")), FileKey(path.with_name("other.key"))
    old_key = old.read()
    database = Database(path, keys=(new, old))
    assert await _read_secret(database) == SECRET
    assert (await TokenStore(database).load())[token_key(WANT)].token == TOKEN
    database.close()
    assert not old.path.exists()
    old.path.write_bytes(base64.b64encode(old_key or b""))
    database = Database(path, keys=(new, old))
    assert await _read_secret(database) == SECRET
    database.close()
    old.path.unlink()


async def test_power_cut_while_the_key_moves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new key is there, the rows are still the old one's: the next start goes on."""
    await _sealed(path)
    old, new = FileKey(path.with_name("sealing.key")), FileKey(path.with_name("other.key"))

    def cut(*_: object, **__: object) -> None:
        raise StoreError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(sealed_rows, "_seal", cut)
        with pytest.raises(StoreError, match="power cut"):
            Database(path, keys=(new, old))
    assert new.path.exists()
    database = Database(path, keys=(new, old))
    assert await _read_secret(database) == SECRET
    database.close()
    assert not old.path.exists()


async def test_secrets_that_changed_places_are_refused(path: Path) -> None:
    """Each is bound to its name: who writes the file cannot give one pod another's."""
    database = Database(path)
    await ObjectStore(database).put(PUT)
    await database.write("UPDATE objects SET name = ?", [("b",)])
    with pytest.raises(StoreDamaged, match="objects/Secret/ns/b is not what was sealed"):
        await ObjectStore(database).load()
    database.close()


async def test_unsealed_secret_in_a_sealed_database_is_refused(path: Path) -> None:
    """Nobody of ours wrote it."""
    database = Database(path)
    await database.write(
        "INSERT INTO objects VALUES ('Secret', 'ns', 'a', 'r', ?)", [(msgspec.json.encode(SECRET),)]
    )
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="objects/Secret/ns/a is not what was sealed"):
            await ObjectStore(database).load()
        database.close()
        database = Database(path)
    database.close()

"""Every foreseeable failure of Redis has its sentence, and says whether it passes by itself."""

from __future__ import annotations

import pytest
from redis import exceptions as failures

from ansible_collections.relevo.postgres.plugins.module_utils._catalog import store
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    RedisError,
    connected,
    explain,
    portions,
)

PARAMS = {"host": "redis", "port": 6379, "password": "secret", "timeout": 5.0}
WHERE = "Redis at redis:6379"


@pytest.fixture(autouse=True)
def no_public_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked whether the public word would do."""
    monkeypatch.setattr(store, "_has_public_word", lambda params: False)


def test_a_public_word_is_told_apart_from_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_has_public_word", lambda params: True)
    explained = explain(failures.AuthenticationError("invalid username-password pair"), WHERE, {**PARAMS, "db": 0})
    assert explained.kind == "public"
    assert "site.yml -e secrets_replace_public=true" in explained.message


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            failures.AuthenticationError("invalid username-password pair"),
            "refused",
            "the password",
        ),
        (
            failures.AuthenticationError("AUTH <password> called without any password configured for the default user"),
            "refused",
            "has no password",
        ),
        # As the redis-py of Debian 12 says it.
        (failures.ResponseError("WRONGPASS invalid username-password pair or user is disabled."), "refused", "Correct"),
        (failures.NoPermissionError("this user has no permissions to run 'hset'"), "refused", "ACL"),
        (failures.BusyLoadingError("Redis is loading the dataset in memory"), "unavailable", "loading"),
        (failures.ReadOnlyError("You can't write against a read only replica."), "unavailable", "replica"),
        (failures.ResponseError("Command # 1 caused error: OOM command not allowed"), "unavailable", "maxmemory"),
        (failures.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "unavailable", "disk"),
        (failures.TimeoutError("Timeout reading from socket"), "unavailable", "within 5 s"),
        (failures.InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), "refused", "not a Redis"),
        (failures.ConnectionError("Error 111 connecting to redis:6379. Connection refused"), "unavailable", "reached"),
        (failures.ConnectionError("Connection closed by server."), "unavailable", "closed the connection"),
        (failures.ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] unknown authority"), "refused", "TLS"),
        # The library's own full stop is not doubled.
        (failures.ConnectionError("[SSL] bad (_ssl.c:1029)."), "refused", "(_ssl.c:1029). Correct"),
        (failures.ResponseError("DB index is out of range"), "refused", "database"),
        (failures.ResponseError("MOVED 1234 10.0.0.1:6379"), "refused", "Cluster"),
        (failures.ResponseError("ERR something new"), "refused", "ERR something new"),
    ],
)
def test_a_failure_is_explained(error: Exception, kind: str, words: str) -> None:
    explained = explain(error, WHERE, {**PARAMS, "db": 99})
    assert explained.kind == kind
    assert words in explained.message
    assert "secret" not in explained.message + str(explained.details)


def test_a_missing_password_is_named() -> None:
    error = failures.AuthenticationError("Authentication required.")
    assert "none was given" in explain(error, WHERE, {**PARAMS, "password": None}).message


def test_without_a_host_nothing_is_tried() -> None:
    with pytest.raises(RedisError, match="catalog_redis_host"), connected({**PARAMS, "host": "", "db": 0}):
        pytest.fail("a connection was lent")


def test_keys_are_cut_into_portions() -> None:
    assert [len(portion) for portion in portions(str(number) for number in range(1001))] == [500, 500, 1]


@pytest.mark.parametrize(
    ("kind", "seconds", "times"),
    [("unavailable", 5.0, 3), ("unavailable", 0.0, 1), ("refused", 5.0, 1), ("public", 5.0, 1)],
)
def test_only_what_may_pass_is_asked_again(kind: str, seconds: float, times: int) -> None:
    asked = []

    def ask() -> str:
        asked.append(kind)
        if len(asked) < 3:
            raise RedisError("no", kind)
        return "yes"

    if times == 3:
        assert store.patiently(ask, seconds, 0.01) == "yes"
    else:
        with pytest.raises(RedisError):
            store.patiently(ask, seconds, 0.01)
    assert len(asked) == times

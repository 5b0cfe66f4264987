"""Naming unlogged tables, in every database and within a deadline."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import unlogged
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import SessionError
from ansible_collections.relevo.postgres.plugins.module_utils._server.unlogged import Unlogged, unlogged_tables

TABLES = {"shop": ["public.cache"], "postgres": [], "locked": ["public.x"]}


class Fake:
    """A session; the database ``locked`` never answers."""

    def __init__(self, database: str) -> None:
        self.database = database

    @classmethod
    def local(cls, database: str = "postgres", **_more: Any) -> Fake:
        return cls(database)

    def query(self, sql: str) -> list[dict[str, str]]:
        if sql == unlogged.DATABASES:
            return [{"datname": name} for name in TABLES]
        if self.database == "locked":
            raise SessionError("no answer within 5 s")
        return [{"name": name} for name in TABLES[self.database]]

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_exception: object) -> None:
        return None


def test_every_database_is_asked_and_one_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlogged, "Session", Fake)
    assert unlogged_tables() == Unlogged({"shop": ["public.cache"]}, ["locked"])
    assert unlogged_tables(timeout=0) == Unlogged({}, ["shop", "postgres", "locked"]), "no time is left"


def test_a_server_that_does_not_answer_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> Fake:
        raise SessionError("no answer")

    monkeypatch.setattr(Fake, "local", refuse)
    monkeypatch.setattr(unlogged, "Session", Fake)
    assert unlogged_tables().tables == {}


def test_the_sentences() -> None:
    assert Unlogged().sentences("are empty") == []
    many = [f"public.t{number}" for number in range(7)]
    first, second = Unlogged({"shop": many}, ["x"]).sentences("will be empty on b")
    assert first.startswith("The unlogged tables will be empty on b, since their rows are in no WAL: shop: public.t0,")
    assert first.endswith("public.t4 and 2 more.")
    assert "x has could not be asked" in second

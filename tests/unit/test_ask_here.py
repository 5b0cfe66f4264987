"""What a node's own server is, asked over its socket by a program on the node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster import ask_here
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.probe import PROBE
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

DATA: dict[str, Any] = {"in_recovery": True, "timeline": 3}


class Local:
    """The superuser's session."""

    def __init__(self, dbname: str, _name: str, timeout: float) -> None:
        assert (dbname, timeout) == ("relevo", 4)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def value(self, query: str, timeout: float | None) -> str:
        assert (query, timeout) == (PROBE, None)
        return json.dumps(DATA)


def test_the_superuser_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "local", Local)
    assert ask_here.answer({"timeout": 4}) == {"data": DATA}


def test_where_not_even_he_gets_in_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise SessionError("the server of this node: sorry, too many clients already")

    monkeypatch.setattr(Session, "local", full)
    assert ask_here.answer({"timeout": 4}) == {"data": None}
    monkeypatch.setattr(ask_here, "PSYCOPG_IMPORT_ERROR", "no psycopg")
    assert ask_here.answer({"timeout": 4}) == {"data": None}

"""Statements that PostgreSQL 15 takes, too. It is in no short test on real parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: An alias, with or without AS; what may follow a subquery in its place is no name.
ALIAS = re.compile(
    r"\s*(?:AS\s+)?(?!(?:WHERE|GROUP|ORDER|LIMIT|JOIN|ON|UNION|LEFT|CROSS)\b)[A-Za-z_]\w*", re.IGNORECASE
)


def without_alias(text: str) -> Iterator[str]:
    """The beginnings of the subqueries in FROM that have no alias, which PostgreSQL asks for up to 15."""
    for begin in re.finditer(r"\b(?:FROM|JOIN|LATERAL)\s*\((?=\s*(?:SELECT|VALUES|WITH|\{))", text):
        depth, end = 1, begin.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if not ALIAS.match(text, end):
            yield text[begin.start() : begin.start() + 60]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 1 FROM (SELECT 2) AS two", 0),
        ("SELECT 1 FROM (SELECT (2)) two", 0),
        ("SELECT 1 FROM (SELECT 2)", 1),
        ("SELECT 1 FROM (SELECT 2) WHERE true", 1),
        ("SELECT 1 FROM (SELECT a FROM (SELECT 2 AS a)) AS two", 1),
    ],
)
def test_a_subquery_without_an_alias_is_found(statement: str, found: int) -> None:
    assert len(list(without_alias(statement))) == found


def test_each_subquery_has_an_alias() -> None:
    files = [path for folder in ("plugins", "roles") for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = [path for path in files if path.suffix in (".py", ".yml", ".j2", ".sql")]
    assert len(texts) > 300
    assert [(path.name, one) for path in texts for one in without_alias(path.read_text())] == []

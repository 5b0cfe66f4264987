# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record that somebody has deleted from Redis is missing, although the index still names it."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.filters import Facet, Filters
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page import counts, page_of, read_page
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import index_for, key_for

LABELS = ("20261124-030000F", "20261125-030000F")
KEYS = [key_for(label, "main") for label in LABELS]


#: Of the two hashes one is left.
HASHES = {KEYS[0]: {"etiqueta": LABELS[0]}}


class Pipeline:
    """Answers of a Redis whose index still has both keys."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return self.answers

    def exists(self, name: str) -> None:
        self.answers.append(int(name in HASHES))

    def zrevrangebyscore(self, *_: Any, **__: Any) -> None:
        self.answers.append(KEYS[::-1])

    def zcount(self, *_: Any) -> None:
        self.answers.append(len(KEYS))

    def zscore(self, _index: str, key: str) -> None:
        self.answers.append(1.0 if key in KEYS else None)

    def zrange(self, *_: Any) -> None:
        self.answers.append([])

    def zcard(self, _name: str) -> None:
        self.answers.append(0)

    def hgetall(self, key: str) -> None:
        self.answers.append(HASHES.get(key, {}))


class Redis:
    def smembers(self, _name: str) -> set[str]:
        return {Facet("full", "a", True).text}

    def exists(self, name: str) -> int:
        return int(name == index_for("main"))

    def pipeline(self, transaction: bool) -> Pipeline:
        return Pipeline()


def test_a_key_that_is_gone_is_not_recorded() -> None:
    page = read_page(Redis(), "main", Filters(), 10, KEYS)
    assert (page.recorded, page.indexed, list(page.records)) == ({KEYS[0]}, 2, [KEYS[0]])
    assert page_of(Redis(), "main", Filters(), 10, LABELS)["recorded"] == {KEYS[0]}


def test_it_is_missing_and_no_orphan() -> None:
    assert counts(Redis(), "main", LABELS) == (1, 0)

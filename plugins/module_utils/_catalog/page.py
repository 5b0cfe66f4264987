# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of the catalog out of Redis: with indexes, so that it takes as long with 100,000 records as with ten.

A filtered page is the newest records of some facets (see ``facets``), merged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from .facets import facet_index, facets_for
from .filters import Facet, Filters
from .records import FOREIGN_INDEX, Record, index_for, key_for, newest_first, status_of
from .store import known_keys, read_records


@dataclass(frozen=True)
class Page:
    """``records``: of this page, the newest first; None for a key that holds no hash. ``matched``: how many there are.

    ``recorded``: which of the keys that were asked for are in the catalog at all. ``indexed``: how many of these are in
    its index, which outlives a key that somebody has deleted. ``foreign``: how many keys are not ours.
    """

    records: dict[str, Record | None]
    matched: int
    recorded: set[str] = field(default_factory=set)
    foreign: int = 0
    indexed: int = 0


def read_page(client: Any, stanza: str, filters: Filters, limit: int, keys: Collection[str] = ()) -> Page:
    """The newest ``limit`` records (0: all) that the filters take; ``keys``: those the repository asks for."""
    named = client.smembers(facets_for(stanza))
    if not named or not client.exists(index_for(stanza)):
        return _searched(client, stanza, filters, limit, keys)
    facets = [facet for facet in map(Facet.from_text, named) if filters.takes(facet)]
    indexes = [facet_index(stanza, facet) for facet in facets] if filters.by_facet else [index_for(stanza)]
    lowest = "-inf" if filters.since is None else filters.since
    highest = "+inf" if filters.before is None else f"({filters.before}"
    pipe = client.pipeline(transaction=False)
    for index in indexes:
        more = {"start": 0, "num": limit} if limit else {}
        pipe.zrevrangebyscore(index, highest, lowest, **more)
        pipe.zcount(index, lowest, highest)
    asked = list(keys)
    for key in asked:
        pipe.exists(key)
    for key in asked:
        pipe.zscore(index_for(stanza), key)
    pipe.zrange(FOREIGN_INDEX, 0, limit - 1 if limit else -1)
    pipe.zcard(FOREIGN_INDEX)
    *answers, foreign, count = pipe.execute()
    found = {key for page in answers[: 2 * len(indexes) : 2] for key in page}
    matched = sum(answers[1 : 2 * len(indexes) : 2])
    exist, scores = answers[2 * len(indexes) :][: len(asked)], answers[2 * len(indexes) :][len(asked) :]
    recorded = {key for key, exists in zip(asked, exist, strict=True) if exists}
    indexed = sum(score is not None for score in scores)
    listed = [*newest_first(found)[: limit or None], *(foreign if filters.empty else [])][: limit or None]
    return Page(read_records(client, listed), matched, recorded, count if filters.empty else 0, indexed)


def page_of(
    client: Any, stanza: str, filters: Filters, limit: int, labels: Collection[str], search: bool = False
) -> dict[str, Any]:
    """A page as ``catalog_of`` takes it; ``labels`` are the repository's. ``search``: walk over the keyspace."""
    read = _searched if search else read_page
    page = read(client, stanza, filters, limit, [key_for(label, stanza) for label in labels])
    known = set(labels)
    return {
        "reachable": True,
        "records": [
            {"key": key, "status": status_of(key, record, stanza, known), "record": record or {}}
            for key, record in page.records.items()
        ],
        "matched": page.matched,
        "recorded": page.recorded,
        "foreign": page.foreign,
    }


def counts(client: Any, stanza: str, labels: Collection[str]) -> tuple[int, int]:
    """How many of the repository's backups have no record, and how many records have no backup."""
    page = read_page(client, stanza, Filters(), 1, [key_for(label, stanza) for label in labels])
    return len(labels) - len(page.recorded), page.matched - page.indexed


def _searched(client: Any, stanza: str, filters: Filters, limit: int, keys: Collection[str]) -> Page:
    """Without the indexes, of a catalog that an earlier version has written, or that only old scripts have."""
    known = known_keys(client, stanza, search=True)
    found = read_records(client, known.mine)
    matching = [key for key in newest_first(found) if filters.matches(key, found[key] or {})]
    foreign = known.foreign if filters.empty else []
    page = {key: found[key] for key in matching[: limit or None]}
    rest = foreign[: limit - len(page)] if limit else foreign
    recorded = set(keys) & set(found)
    return Page(page | read_records(client, rest), len(matching), recorded, len(foreign), len(recorded))

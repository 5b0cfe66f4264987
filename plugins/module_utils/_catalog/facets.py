# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The indexes of the catalog's facets: beside the sorted set of all records one for each facet that occurs.

There are a few dozen at most, and a set names them. They hold nothing that the records do not: a synchronisation makes
them anew where they are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .filters import Facet
from .records import Record, index_for, score_for


def facets_for(stanza: str) -> str:
    """The set that names a stanza's facets; while it does not exist, their indexes do not either."""
    return f"{index_for(stanza)}:facets"


def facet_index(stanza: str, facet: Facet) -> str:
    return f"{index_for(stanza)}:by:{facet.text}"


def queue_facets(
    pipe: Any,
    stanza: str,
    complete: bool,
    kept: Mapping[str, Record],
    changed: Iterable[str],
    before: Mapping[str, Record | None],
    named: Collection[str],
) -> None:
    """Queue what makes the indexes of the facets those of ``kept``.

    ``complete``: whether they were in step with ``before`` so far; then only the keys in ``changed`` are touched.
    ``named``: the facets that there are.
    """
    if not complete:
        for text in named:
            pipe.delete(facet_index(stanza, Facet.from_text(text)))
        pipe.delete(facets_for(stanza))
    gone: dict[Facet, list[str]] = {}
    added: dict[Facet, dict[str, int]] = {}
    for key in changed if complete else kept:
        old, new = before.get(key), kept.get(key)
        if complete and old and (new is None or Facet.of(new) != Facet.of(old)):
            gone.setdefault(Facet.of(old), []).append(key)
        if new is not None:
            added.setdefault(Facet.of(new), {})[key] = score_for(key)
    for facet, keys in gone.items():
        pipe.zrem(facet_index(stanza, facet), *keys)
    for facet, scores in added.items():
        pipe.zadd(facet_index(stanza, facet), scores)
    if added:
        pipe.sadd(facets_for(stanza), *(facet.text for facet in added))

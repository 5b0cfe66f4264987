# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records a view shows, what a page of them counts, and where the space goes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.filters import Facet, Filters
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.model import Catalog, catalog_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import desired_records
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.space import Part, space
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.views import render
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

REPO = "/var/lib/pgbackrest"


def made(label: str, primary: str, stop: int, result: str = "", size: int = 1000) -> dict[str, Any]:
    kind = {"F": "full", "I": "incr", "D": "diff"}[label[-1]]
    notes = {"relevo-primary": primary} | ({"relevo-drill-result": result} if result else {})
    stored = {"delta": size, "size": 1000}
    return {
        "label": label,
        "type": kind,
        "annotation": notes,
        "timestamp": {"start": stop - 10, "stop": stop},
        "info": {"size": 5000 + stop, "repository": stored},
    }


BACKUPS = [
    made("20261124-120000F", "a", 100, "passed"),
    made("20261124-120000F_20261125-120000I", "a", 200, "failed", 10),
    made("20261124-120000F_20261126-120000D", "b", 300, "", 20),
]


def catalog(filters: Filters | None = None, page: dict[str, Any] | None = None, limit: int = 0) -> Catalog:
    records = desired_records(BACKUPS, "main", REPO)
    listed = [{"key": key, "status": "recorded", "record": record} for key, record in records.items()]
    result = page if page is not None else {"reachable": True, "records": listed}
    return catalog_of(result, {"backup": BACKUPS}, "main", REPO, limit, "en", filters=filters)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["D6-", "I5-", "F11"]),
        ({"type": "full"}, ["F11"]),
        ({"type": "diferencial"}, ["D6-"]),
        ({"primary": "a"}, ["I5-", "F11"]),
        ({"primary": "c"}, []),
        ({"verified": True}, ["F11"]),
        ({"verified": False}, ["D6-", "I5-"]),
        ({"since": "2026-11-25"}, ["D6-", "I5-"]),
        ({"since": "2026-11-25 12:00:00"}, ["D6-", "I5-"]),
        ({"since": "2026-11-25 12:00:01"}, ["D6-"]),
        ({"before": "2026-11-25 12:00"}, ["F11"]),
        ({"since": "2026-11-25", "before": "2026-11-26", "primary": "a"}, ["I5-"]),
    ],
)
def test_a_filter_takes_what_it_says(given: dict[str, Any], names: list[str]) -> None:
    expected = {"F": BACKUPS[0], "I": BACKUPS[1], "D": BACKUPS[2]}
    found = [entry.name for entry in catalog(Filters.given(**given)).shown]
    assert found == [expected[name[0]]["label"] for name in names]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "voll"}, "There is no type of backup 'voll'. Choose one of full"),
        ({"since": "yesterday"}, "since='yesterday' is not a moment"),
        ({"before": "26.11.2026"}, "before='26.11.2026' is not a moment"),
    ],
)
def test_what_is_no_filter_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(RelevoError, match=words):
        Filters.given(**given)


def test_a_facet_goes_into_a_key_and_comes_back() -> None:
    facet = Facet("completo", 'a:b"ñ|c', True)
    assert Facet.from_text(facet.text) == facet


def test_a_view_says_what_it_was_filtered_by() -> None:
    filters = Filters.given(type="incr", since="2026-11-25", before="2026-11-26 06:30")
    text = render("table", catalog(filters))
    assert "Filtered by: type=incremental, since=2026-11-25, before=2026-11-26 06:30:00" in text
    assert "Total: 1 backup (1 incremental), 10 B" in text
    assert render("table", catalog(Filters.given(primary="c"))) == "No backup matches the filter primary=c."


def test_a_page_counts_what_is_not_on_it() -> None:
    records = desired_records(BACKUPS, "main", REPO)
    newest = next(reversed(records))
    page = {
        "reachable": True,
        "records": [{"key": newest, "status": "recorded", "record": records[newest]}],
        "matched": 100_000,
        "recorded": list(records)[1:],
        "foreign": 4,
    }
    found = catalog(page=page, limit=1)
    assert [entry.key for entry in found.shown] == [newest]
    totals = found.totals
    assert totals.statuses == {"recorded": 2, "unrecorded": 1, "orphan": 99_998, "foreign": 4}
    assert (totals.all, totals.backups, totals.size) == (100_005, 3, 1030)
    text = render("table", found)
    assert "99998 records without a backup" in text
    assert "Shown: the newest 1 of 100005" in text


def test_info_counts_by_type_and_says_how_much_the_database_has_grown() -> None:
    text = render("info", catalog())
    assert "1 full, 1 incremental, 1 differential" in text.partition("╔")[0]
    assert "+100 B of the database since 20261124-120000F_20261125-120000I, 1 min 40 s before" in text


def test_the_space_is_split_by_type_with_the_wal_and_what_is_shared() -> None:
    usage = {
        "directories": [
            {"path": "archive/main", "bytes": 7000},
            {"path": "backup/main", "bytes": 5000},
            {"path": "backup/main/20261124-120000F", "bytes": 4000},
        ]
    }
    assert space("main", BACKUPS, usage) == [
        Part("completo", 1, 4000, 0),
        Part("incremental", 1, 10, 990),
        Part("diferencial", 1, 20, 980),
        Part("wal", 0, 7000),
        Part("rest", 0, 970),
    ]
    # With block increments pgBackRest does not say what a backup reads of others.
    block = [{**BACKUPS[1], "info": {"repository": {"delta": 10}}}]
    assert space("main", block, None)[1] == Part("incremental", 1, 10, None)

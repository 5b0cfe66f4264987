# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the views show, in one value: the records, the newest first, and what the repository says itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .._errors import RelevoError
from .._names import FIRST_REPOSITORY
from .._recovery_window import Hole, of_newest_system
from .filters import Filters
from .labels import LABELS, Labels
from .records import (
    DEFAULT_STANZA,
    Record,
    desired_records,
    newest_first,
    parts_of,
    record_label,
    score_for,
)


@dataclass(frozen=True)
class Entry:
    """One line of a view."""

    key: str
    status: str
    record: Record

    @property
    def name(self) -> str:
        """The backup's label; a foreign record has none that we could trust."""
        return self.key if self.status == "foreign" else record_label(self.record)

    def notes(self, words: Labels) -> str:
        """What a reader should know before relying on this backup; empty when there is nothing."""
        found = [] if self.status == "recorded" else [words.status[self.status]]
        if self.record.get("error") == "si":
            found.append(words.page_errors)
        if self.record.get("consistente") == "no":
            found.append(words.inconsistent)
        tried = words.tried.get(self.record.get("resultado", ""))
        if tried and self.status != "foreign":
            found.append(tried.format(day=self.record.get("verificado", "")[:10]))
        return ", ".join(found)

    def shown(self, field: str, words: Labels) -> str:
        """A field's value as a view says it; a dash when it is not known."""
        value = self.record.get(field, "-")
        return words.values.get(field, {}).get(value, value)


@dataclass(frozen=True)
class Totals:
    """Of all that the filters take, also of what is not on the page; ``types`` and ``size`` of the backups."""

    all: int
    statuses: Mapping[str, int]
    backups: int
    types: Mapping[str, int]
    size: int

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Totals:
        there = [entry.record for entry in entries if entry.status in ("recorded", "unrecorded")]
        statuses = Counter(entry.status for entry in entries)
        return cls(len(entries), statuses, len(there), _types(there), _stored(there))


@dataclass(frozen=True)
class Stretch:
    """Every moment of a timeline from ``since``, the end of the backup ``oldest``, to ``until`` can be reached."""

    timeline: int
    since: datetime
    until: datetime
    oldest: str

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Stretch:
        since, until = (datetime.fromtimestamp(float(values[name]), UTC) for name in ("since", "until"))
        return cls(int(values["timeline"]), since, until, str(values["oldest"]))


@dataclass(frozen=True)
class Catalog:
    """What a view shows: the entries, the newest first, and the repository's own information."""

    #: The catalog's name, which is the stanza's but for a second repository (``records.catalog_name``).
    stanza: str
    entries: list[Entry]
    information: Mapping[str, Any]
    # Why Redis could not be asked, when the entries are the repository's own.
    reason: str
    words: Labels
    limit: int = 0
    holes: Sequence[Hole] = ()
    filters: Filters = field(default_factory=Filters)
    # Where the entries are not all: what was counted of those that are not among them.
    counted: Totals | None = None
    stretches: Sequence[Stretch] = ()

    @property
    def totals(self) -> Totals:
        return self.counted or Totals.of(self.entries)

    def count(self, status: str) -> int:
        return self.totals.statuses.get(status, 0)

    @property
    def backups(self) -> list[Entry]:
        """The entries whose backup is in the repository."""
        return [entry for entry in self.entries if entry.status in ("recorded", "unrecorded")]

    @property
    def of_newest_system(self) -> list[Mapping[str, Any]]:
        """The backups of the cluster that lives, as pgBackRest lists them."""
        return of_newest_system(self.information.get("backup") or [], self.information.get("db") or [])

    @property
    def shown(self) -> list[Entry]:
        return self.entries[: self.limit or None]

    @property
    def title(self) -> str:
        title = self.words.repository_title if self.reason else self.words.recorded_title
        parts = [title]
        if self.cluster != DEFAULT_STANZA:
            parts.append(self.cluster)
        if self.repository != FIRST_REPOSITORY:
            parts.append(self.words.one_repository.format(number=self.repository))
        return " · ".join(parts)

    @property
    def cluster(self) -> str:
        return parts_of(self.stanza)[0]

    @property
    def repository(self) -> int:
        return parts_of(self.stanza)[1]


def catalog_of(
    result: Mapping[str, Any],
    information: Mapping[str, Any],
    stanza: str,
    repo_path: str,
    limit: int = 0,
    language: str = "es",
    holes: Sequence[Mapping[str, Any]] = (),
    filters: Filters | None = None,
    stretches: Sequence[Mapping[str, Any]] = (),
) -> Catalog:
    """Join what Redis holds with the repository's information of the stanza.

    ``result``: ``records``, each with ``key``, ``status`` and ``record``, or ``reachable=False`` with a ``reason``. A
    page of the records has besides ``matched`` (how many there are), ``recorded`` (the keys of the repository's backups
    that have a record) and ``foreign`` (how many keys are not ours).

    A backup that is not recorded yet is shown too; without Redis all that is shown is the repository's. ``holes``: as
    ``pgbackrest_info`` returns them.
    """
    if language not in LABELS:
        raise RelevoError(f"There is no language '{language}'. Choose one of: {', '.join(LABELS)}.")
    backups: Sequence[Mapping[str, Any]] = information.get("backup") or []
    chosen = filters or Filters()
    desired = {
        key: record
        for key, record in desired_records(backups, stanza, repo_path, information.get("db") or []).items()
        if chosen.matches(key, record)
    }
    reachable = bool(result.get("reachable", True))
    entries = {
        item["key"]: Entry(item["key"], item["status"], dict(item["record"]))
        for item in result.get("records", [])
        if chosen.empty or (item["status"] != "foreign" and chosen.matches(item["key"], item["record"]))
    }
    recorded = {record_label(entry.record) for entry in entries.values()}
    known = set(result.get("recorded", ()))
    missing = {
        key: record for key, record in desired.items() if record["etiqueta"] not in recorded and key not in known
    }
    for key, record in missing.items():
        entries[key] = Entry(key, "unrecorded" if reachable else "recorded", record)
    # A label is a local time, and so no order where the time zone has changed.
    moments = {str(backup["label"]): int((backup.get("timestamp") or {}).get("start") or 0) for backup in backups}
    ordered = sorted(
        newest_first(entries), key=lambda key: -(moments.get(record_label(entries[key].record)) or score_for(key))
    )
    return Catalog(
        stanza=stanza,
        entries=[entries[key] for key in ordered],
        information=information,
        reason="" if reachable else str(result.get("reason", "Redis was not asked.")),
        words=LABELS[language],
        limit=limit,
        holes=[Hole.of(given) for given in holes],
        filters=chosen,
        counted=_counted(result, desired, len(missing)) if "matched" in result else None,
        stretches=[Stretch.given(values) for values in stretches],
    )


def _counted(result: Mapping[str, Any], desired: Mapping[str, Record], unrecorded: int) -> Totals:
    """The totals of a page: what is in the repository is known, and of the rest there are only numbers."""
    recorded = len(desired) - unrecorded
    matched, foreign = int(result["matched"]), int(result.get("foreign", 0))
    statuses = {
        "recorded": recorded,
        "unrecorded": unrecorded,
        "orphan": max(0, matched - recorded),
        "foreign": foreign,
    }
    there = list(desired.values())
    return Totals(matched + unrecorded + foreign, statuses, len(there), _types(there), _stored(there))


def _types(records: Iterable[Record]) -> Counter[str]:
    return Counter(record.get("tipo_backup", "") for record in records)


def _stored(records: Iterable[Record]) -> int:
    return sum(int(record.get("tamano_copia", 0)) for record in records)

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of the catalog: text for people, and JSON for those who ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .._errors import RelevoError
from .._recovery_window import losses, window_of
from .._tables import Column, format_bytes, format_duration, format_pairs, format_table, plural
from .labels import SPANISH, Labels
from .model import Catalog, Entry, Totals, catalog_of
from .space import REST, WAL, space

__all__ = ["VIEWS", "catalog_of", "render"]

VIEWS = ("table", "detail", "info", "size", "json")
# The JSON's words are those of the stored fields, whoever reads it.
STATUS = SPANISH.status
# The columns that are aligned to the right.
NUMBERS = ("dia", "duracion_s")


def render(view: str, catalog: Catalog, usage: Mapping[str, Any] | None = None) -> str:
    """Return the text of a view. ``usage`` is what ``repository_usage`` returned, for ``info`` and ``size``."""
    if view not in VIEWS:
        raise RelevoError(f"There is no view '{view}'. Choose one of: {', '.join(VIEWS)}.")
    if view == "json":
        return _json(catalog)
    text = _view(view, catalog, usage)
    # In the words of the module that asked Redis, so it stands below the view and not in it.
    return f"{text}\n\n{catalog.reason}" if catalog.reason else text


def _view(view: str, catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    if not catalog.entries and not catalog.filters.empty:
        return catalog.words.none_match.format(filters=catalog.filters.text)
    if not catalog.entries and view in ("table", "detail"):
        return _empty(catalog)
    if view == "table":
        return _table(catalog)
    if view == "detail":
        return _detail(catalog)
    return _info(catalog, usage) if view == "info" else _size(catalog, usage)


def _json(catalog: Catalog) -> str:
    ends = _ends(catalog)
    listed = [
        {"clave": entry.key, "estado": STATUS[entry.status], **entry.record, **ends.get(entry.name, {})}
        for entry in catalog.shown
    ]
    return json.dumps(listed, ensure_ascii=False, indent=2)


def _ends(catalog: Catalog) -> dict[str, dict[str, str]]:
    """When each backup of the repository ended, in UTC, by label; a record's own date and time are local ones."""
    return {
        str(backup["label"]): {"terminado": datetime.fromtimestamp(int(stop), UTC).isoformat()}
        for backup in catalog.information.get("backup") or []
        if (stop := (backup.get("timestamp") or {}).get("stop")) is not None
    }


def _empty(catalog: Catalog) -> str:
    return catalog.words.empty.format(stanza=catalog.cluster)


def _table(catalog: Catalog) -> str:
    words = catalog.words
    columns = [
        *_columns(words, "fecha", "hora", "tipo_backup", "dia", "maestro_usado"),
        Column(words.size, right=True),
        *_columns(words, "etiqueta"),
    ]
    rows = [
        [
            *(entry.shown(name, words) for name in ("fecha", "hora", "tipo_backup", "dia", "maestro_usado")),
            format_size_of(entry.record),
            entry.name,
        ]
        for entry in catalog.shown
    ]
    return _noted_table(catalog, catalog.shown, columns, rows, catalog.title)


def _columns(words: Labels, *fields: str) -> list[Column]:
    return [Column(words.fields[field], right=field in NUMBERS) for field in fields]


def _noted_table(
    catalog: Catalog, entries: Sequence[Entry], columns: list[Column], rows: list[list[str]], title: str
) -> str:
    """Draw a table of these entries, a row for each, with a column of notes only where there is any."""
    notes = [entry.notes(catalog.words) for entry in entries]
    if any(notes):
        columns = [*columns, Column(catalog.words.note)]
        rows = [[*row, note] for row, note in zip(rows, notes, strict=True)]
    return format_table(columns, rows, title, summary(catalog))


def format_size_of(record: Mapping[str, str]) -> str:
    """Return what a backup takes in the repository; with block increments only the database's size may be known."""
    if "tamano_copia" in record:
        return format_bytes(record["tamano_copia"])
    return f"({format_bytes(record['tamano_base'])})" if "tamano_base" in record else "-"


def summary(catalog: Catalog) -> list[str]:
    """Return the lines under a list: totals, the window that can be recovered, and what wants attention."""
    words = catalog.words
    lines = [_total(catalog), window(catalog), *_timelines(catalog), *_losses(catalog)]
    if not catalog.filters.empty:
        lines.append(words.filtered.format(filters=catalog.filters.text))
    if len(catalog.shown) < catalog.totals.all:
        lines.append(words.shown.format(count=len(catalog.shown), all=catalog.totals.all))
    if catalog.reason:
        return [*lines, words.without_redis]
    unrecorded, orphans, foreign = (catalog.count(status) for status in ("unrecorded", "orphan", "foreign"))
    if unrecorded:
        lines.append(words.unrecorded.format(backups=plural(unrecorded, *words.backup)))
    if orphans:
        lines.append(words.orphans.format(records=plural(orphans, *words.record)))
    if foreign:
        lines.append(words.foreign.format(records=plural(foreign, *words.record)))
    return lines


def _total(catalog: Catalog) -> str:
    words = catalog.words
    totals = catalog.totals
    parts = _by_type(words, totals)
    backups = plural(totals.backups, *words.backup)
    if not parts:
        return words.total.format(backups=backups)
    return words.total_with_types.format(backups=backups, types=parts, size=format_bytes(totals.size))


def _by_type(words: Labels, totals: Totals) -> str:
    types = totals.types
    return ", ".join(plural(types[name], *noun) for name, noun in words.types.items() if types.get(name))


def _timelines(catalog: Catalog) -> list[str]:
    """From when to when each timeline can be restored; several lines for one timeline where there is a hole.

    One is all that the window says already.
    """
    if len(catalog.stretches) == 1:
        return []
    return [
        catalog.words.timeline_window.format(
            timeline=one.timeline, since=_utc(one.since), until=_utc(one.until), oldest=one.oldest
        )
        for one in catalog.stretches
    ]


def window(catalog: Catalog) -> str:
    """Say from and to when every moment can be recovered, on the newest timeline and after its last hole."""
    words = catalog.words
    found = window_of(catalog.of_newest_system, catalog.holes)
    if found is None:
        return words.no_window
    newest = max(catalog.stretches, key=lambda one: (one.timeline, one.until), default=None)
    until = found.newest if found.ended or newest is None else max(found.newest, newest.until)
    both = found.ended or newest is not None
    text = (words.window_ended if both else words.window).format(since=_utc(found.since), until=_utc(until))
    # Nobody has looked at the archive: all that is sure is how far it goes back.
    if found.newest > found.since and not both:
        text += words.window_before_newest.format(
            duration=format_duration((found.newest - found.since).total_seconds())
        )
    return text + words.window_oldest.format(label=found.oldest)


def _losses(catalog: Catalog) -> list[str]:
    """What the archive lacks, and which moments are lost by it."""
    words, lines = catalog.words, []
    for loss in losses(catalog.of_newest_system, catalog.holes):
        hole = loss.hole
        if hole.history:
            lines.append(words.history_hole.format(history=hole.history))
            continue
        since = _utc(loss.after) if loss.after else words.the_beginning
        until = _utc(loss.before) if loss.before else words.the_next_backup
        missing = plural(hole.count, *words.segment)
        lines.append(words.hole.format(first=hole.first, last=hole.last, segments=missing, since=since, until=until))
    return lines


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _detail(catalog: Catalog) -> str:
    parts = [f"=== {catalog.title} ==="]
    for entry in catalog.shown:
        parts.append(f"Backup: {entry.key}\n{format_pairs(_fields(entry, catalog.words))}")
    parts.append("\n".join(summary(catalog)))
    return "\n\n".join(parts)


def _fields(entry: Entry, words: Labels) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name in [*words.fields, *(name for name in entry.record if name not in words.fields)]:
        value = entry.shown(name, words) if name in entry.record else None
        if value is not None and name.startswith("tamano_"):
            value = f"{format_bytes(value)} ({value} bytes)"
        elif value is not None and name == "duracion_s":
            value = format_duration(value)
        fields[words.fields.get(name, name)] = value
    fields[words.note] = entry.notes(words) or None
    return fields


def _info(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    words = catalog.words
    columns = [
        *_columns(words, "etiqueta", "tipo_backup", "dia", "maestro_usado"),
        Column(words.database, right=True),
        Column(words.copy, right=True),
        *_columns(words, "duracion_s"),
    ]
    rows = [
        [
            entry.name,
            *(entry.shown(name, words) for name in ("tipo_backup", "dia", "maestro_usado")),
            format_bytes(entry.record.get("tamano_base")),
            format_bytes(entry.record.get("tamano_copia")),
            format_duration(entry.record.get("duracion_s")),
        ]
        for entry in catalog.shown
    ]
    title = words.info_title_without_redis if catalog.reason else words.info_title
    pairs = format_pairs(_information(catalog, usage), indent=0)
    return f"{pairs}\n\n{_noted_table(catalog, catalog.shown, columns, rows, title)}"


def _information(catalog: Catalog, usage: Mapping[str, Any] | None) -> dict[str, object]:
    """What pgBackRest says of the stanza, and how Redis stands to it."""
    words, information = catalog.words, catalog.information
    status: Mapping[str, Any] = information.get("status") or {}
    databases: Sequence[Mapping[str, Any]] = information.get("db") or []
    archives: Sequence[Mapping[str, Any]] = information.get("archive") or []
    held = ((status.get("lock") or {}).get("backup") or {}).get("held")
    archive = archives[-1] if archives else {}
    cipher = information.get("cipher")
    pairs: dict[str, object] = {
        words.fields["stanza"]: catalog.cluster,
        words.state: words.states.get(status.get("code", -1), status.get("message", words.unknown))
        + (words.running if held else ""),
        words.cipher: words.no_cipher if cipher == "none" else cipher,
        "PostgreSQL": words.system.format(version=databases[-1]["version"], system=databases[-1]["system-id"])
        if databases
        else None,
        words.archive: words.archive_range.format(first=archive["min"], last=archive["max"])
        if archive.get("min")
        else words.archive_empty,
        "Redis": words.redis_away
        if catalog.reason
        else words.redis_counts.format(
            recorded=catalog.count("recorded"),
            unrecorded=catalog.count("unrecorded"),
            orphans=catalog.count("orphan"),
            foreign=catalog.count("foreign"),
        ),
    }
    pairs[words.counted] = _by_type(words, catalog.totals) or None
    pairs[words.growth] = _growth(catalog)
    if usage:
        pairs[words.on_disk] = words.disk.format(size=format_bytes(usage["bytes"]), free=format_bytes(usage["free"]))
    return pairs


def _growth(catalog: Catalog) -> str | None:
    """How much the database has grown from the backup before the newest one to that; None of less than two."""
    measured = [backup for backup in catalog.of_newest_system if (backup.get("info") or {}).get("size") is not None]
    if len(measured) < 2:
        return None
    before, newest = sorted(measured, key=lambda backup: int(backup["timestamp"]["stop"]))[-2:]
    change = int(newest["info"]["size"]) - int(before["info"]["size"])
    return catalog.words.growth_since.format(
        change=f"{'-' if change < 0 else '+'}{format_bytes(abs(change))}",
        label=before["label"],
        duration=format_duration(int(newest["timestamp"]["stop"]) - int(before["timestamp"]["stop"])),
    )


def _size(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    parts = [_directories(catalog.words, usage)] if usage else []
    parts += [split] if (split := space_table(catalog, usage)) else []
    parts.append(_sizes(catalog) if catalog.backups else _empty(catalog))
    return "\n\n".join(parts)


def space_table(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    """What each type of backup takes, what they share, and the WAL; empty without backups."""
    words = catalog.words
    parts = space(catalog.cluster, catalog.information.get("backup") or [], usage)
    if not any(part.own for part in parts):
        return ""
    named = {WAL: words.wal, REST: words.rest}
    types = words.values.get("tipo_backup", {})
    columns = [
        *_columns(words, "tipo_backup"),
        *(Column(heading, right=True) for heading in (words.counted, words.own, words.shared)),
    ]
    rows = [
        [
            named.get(part.kind, types.get(part.kind, part.kind)),
            "" if part.kind in named else part.count,
            format_bytes(part.own),
            "" if part.kind in named else format_bytes(part.shared),
        ]
        for part in parts
    ]
    return format_table(columns, rows, words.split_title)


def _directories(words: Labels, usage: Mapping[str, Any]) -> str:
    rows = [[item["path"], item["files"], format_bytes(item["bytes"])] for item in usage["directories"]]
    footer = [
        words.disk_total.format(size=format_bytes(usage["bytes"]), files=plural(usage["files"], *words.file)),
        words.disk_free.format(free=format_bytes(usage["free"]), capacity=format_bytes(usage["capacity"])),
    ]
    columns = [Column(words.directory), Column(words.files, right=True), Column(words.size, right=True)]
    return format_table(columns, rows, words.directories_title.format(path=usage["path"]), footer)


def _sizes(catalog: Catalog) -> str:
    words = catalog.words
    entries = catalog.backups[: catalog.limit or None]
    columns = [
        *_columns(words, "etiqueta", "tipo_backup"),
        *(Column(heading, right=True) for heading in (words.database, words.copy, words.share)),
    ]
    rows = [
        [
            entry.name,
            entry.shown("tipo_backup", words),
            format_bytes(entry.record.get("tamano_base")),
            format_bytes(entry.record.get("tamano_copia")),
            _share(entry.record),
        ]
        for entry in entries
    ]
    return _noted_table(catalog, entries, columns, rows, words.sizes_title)


def _share(record: Mapping[str, str]) -> str:
    whole, part = int(record.get("tamano_base", 0)), record.get("tamano_copia")
    return f"{100 * int(part) / whole:.1f} %" if whole and part is not None else "-"

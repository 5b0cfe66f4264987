# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of the catalog: text for people, and JSON for those who ask for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._errors import RelevoError
from .._tables import Column, format_bytes, format_duration, format_pairs, format_table, plural
from .records import DEFAULT_STANZA, Record, desired_records, newest_first, record_label

VIEWS = ("table", "detail", "info", "size", "json")
# What the catalog says of a record, in the language of its fields.
STATUS = {"recorded": "registrado", "orphan": "huérfano", "foreign": "ajeno", "unrecorded": "sin registrar"}
HEADINGS = {
    "fecha": "Fecha",
    "hora": "Hora",
    "tipo_backup": "Tipo",
    "direccion_almacenamiento": "Almacenamiento",
    "maestro_usado": "Maestro",
    "metodo": "Método",
    "stanza": "Stanza",
    "etiqueta": "Etiqueta",
    "dia": "Día",
    "paso": "Paso",
    "ciclo": "Ciclo",
    "solicitado": "Solicitado",
    "solicitado_por": "Solicitado por",
    "omitido": "Omitido",
    "previo": "Previo",
    "tamano_base": "Tamaño de la base",
    "tamano_copia": "Tamaño de la copia",
    "duracion_s": "Duración",
    "wal_inicio": "WAL inicio",
    "wal_fin": "WAL fin",
    "lsn_inicio": "LSN inicio",
    "lsn_fin": "LSN fin",
    "sistema_id": "Sistema",
    "consistente": "Consistente",
    "error": "Error",
}


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

    @property
    def notes(self) -> str:
        """What a reader should know before relying on this backup; empty when there is nothing."""
        found = [] if self.status == "recorded" else [STATUS[self.status]]
        if self.record.get("error") == "si":
            found.append("con errores de página")
        if self.record.get("consistente") == "no":
            found.append("no consistente")
        return ", ".join(found)


@dataclass(frozen=True)
class Catalog:
    """What a view shows: the entries, the newest first, and the repository's own information."""

    stanza: str
    entries: list[Entry]
    information: Mapping[str, Any]
    # Why Redis could not be asked, when the entries are the repository's own.
    reason: str
    limit: int = 0

    def count(self, status: str) -> int:
        return sum(entry.status == status for entry in self.entries)

    @property
    def backups(self) -> list[Entry]:
        """The entries whose backup is in the repository."""
        return [entry for entry in self.entries if entry.status in ("recorded", "unrecorded")]

    @property
    def shown(self) -> list[Entry]:
        return self.entries[: self.limit or None]

    @property
    def title(self) -> str:
        title = "BACKUPS DEL REPOSITORIO (SIN REDIS)" if self.reason else "BACKUPS REGISTRADOS EN REDIS"
        return title if self.stanza == DEFAULT_STANZA else f"{title} · {self.stanza}"


def catalog_of(
    result: Mapping[str, Any], information: Mapping[str, Any], stanza: str, repo_path: str, limit: int = 0
) -> Catalog:
    """Join what ``redis_backup_info`` returned with the repository's information of the stanza.

    A backup that is not recorded yet is shown too; without Redis all that is shown is the repository's.
    """
    backups: Sequence[Mapping[str, Any]] = information.get("backup") or []
    desired = desired_records(backups, stanza, repo_path, information.get("db") or [])
    reachable = bool(result.get("reachable", True))
    entries = {
        item["key"]: Entry(item["key"], item["status"], dict(item["record"])) for item in result.get("records", [])
    }
    recorded = {record_label(entry.record) for entry in entries.values()}
    for key, record in desired.items():
        if record["etiqueta"] not in recorded:
            entries[key] = Entry(key, "unrecorded" if reachable else "recorded", record)
    return Catalog(
        stanza=stanza,
        entries=[entries[key] for key in newest_first(entries)],
        information=information,
        reason="" if reachable else str(result.get("reason", "Redis was not asked.")),
        limit=limit,
    )


def render(view: str, catalog: Catalog, usage: Mapping[str, Any] | None = None) -> str:
    """Return the text of a view. ``usage`` is what ``repository_usage`` returned, for ``info`` and ``size``."""
    if view not in VIEWS:
        raise RelevoError(f"There is no view '{view}'. Choose one of: {', '.join(VIEWS)}.")
    if view == "json":
        return _json(catalog)
    if not catalog.entries and view in ("table", "detail"):
        return _empty(catalog)
    if view == "table":
        return _table(catalog)
    if view == "detail":
        return _detail(catalog)
    return _info(catalog, usage) if view == "info" else _size(catalog, usage)


def _json(catalog: Catalog) -> str:
    listed = [{"clave": entry.key, "estado": STATUS[entry.status], **entry.record} for entry in catalog.shown]
    return json.dumps(listed, ensure_ascii=False, indent=2)


def _empty(catalog: Catalog) -> str:
    lines = [
        f"The catalog is empty: stanza {catalog.stanza} has no backup yet. "
        "Make the first one with: ansible-playbook backup.yml -e day=1"
    ]
    if catalog.reason:
        lines.append(catalog.reason)
    return "\n".join(lines)


def _table(catalog: Catalog) -> str:
    columns = [
        Column("Fecha"),
        Column("Hora"),
        Column("Tipo"),
        Column("Día", right=True),
        Column("Maestro"),
        Column("Tamaño", right=True),
        Column("Etiqueta"),
    ]
    rows = [
        [
            *(entry.record.get(name, "-") for name in ("fecha", "hora", "tipo_backup", "dia", "maestro_usado")),
            format_size_of(entry.record),
            entry.name,
        ]
        for entry in catalog.shown
    ]
    return _noted_table(catalog, columns, rows, catalog.title)


def _noted_table(catalog: Catalog, columns: list[Column], rows: list[list[str]], title: str) -> str:
    """Draw a table of the shown entries, with a column of notes only where there is any."""
    notes = [entry.notes for entry in catalog.shown]
    if any(notes):
        columns = [*columns, Column("Nota")]
        rows = [[*row, note] for row, note in zip(rows, notes, strict=True)]
    return format_table(columns, rows, title, summary(catalog))


def format_size_of(record: Mapping[str, str]) -> str:
    """Return what a backup takes in the repository; with block increments only the database's size may be known."""
    if "tamano_copia" in record:
        return format_bytes(record["tamano_copia"])
    return f"({format_bytes(record['tamano_base'])})" if "tamano_base" in record else "-"


def summary(catalog: Catalog) -> list[str]:
    """Return the lines under a list: totals, the window that can be recovered, and what wants attention."""
    types = Counter(entry.record.get("tipo_backup", "") for entry in catalog.backups)
    parts = ", ".join(f"{types[name]} {name}" for name in ("completo", "incremental", "diferencial") if types[name])
    total = f"Total: {plural(len(catalog.backups), 'backup')}"
    if parts:
        total += f" ({parts}), {format_bytes(_stored(catalog))} in the repository"
    lines = [total, window(catalog)]
    if len(catalog.shown) < len(catalog.entries):
        lines.append(f"Shown: the newest {len(catalog.shown)} of {len(catalog.entries)}")
    if catalog.reason:
        lines += [catalog.reason, "This list is the repository's own."]
        return lines
    unrecorded, orphans, foreign = (catalog.count(status) for status in ("unrecorded", "orphan", "foreign"))
    if unrecorded:
        lines.append(f"{plural(unrecorded, 'backup')} not in Redis yet (sin registrar): the next backup records them")
    if orphans:
        lines.append(f"{plural(orphans, 'record')} without a backup in the repository (huérfano)")
    if foreign:
        lines.append(f"{plural(foreign, 'record')} of other origin, left alone (ajeno)")
    return lines


def window(catalog: Catalog) -> str:
    """Say since when every moment can be recovered: since the end of the oldest consistent backup."""
    usable = [entry.record for entry in catalog.backups if entry.record.get("consistente", "si") == "si"]
    moments = [(_end(record), record) for record in usable]
    known = [(end, record) for end, record in moments if end is not None]
    if not known:
        return "Recovery window: none, because there is no consistent backup"
    end, oldest = min(known, key=lambda pair: pair[0])
    newest = max(pair[0] for pair in known)
    text = f"Recovery window: any moment since {end:%Y-%m-%d %H:%M:%S}"
    if newest > end:
        text += f", {format_duration((newest - end).total_seconds())} before the newest backup"
    return f"{text} (oldest: {record_label(oldest)})"


def _end(record: Mapping[str, str]) -> datetime | None:
    try:
        start = datetime.strptime(f"{record['fecha']} {record['hora']}", "%Y-%m-%d %H:%M:%S")
        return start + timedelta(seconds=int(record.get("duracion_s", "0")))
    except (KeyError, ValueError):
        # An old record that somebody edited: it cannot bound the window.
        return None


def _stored(catalog: Catalog) -> int:
    return sum(int(entry.record.get("tamano_copia", 0)) for entry in catalog.backups)


def _detail(catalog: Catalog) -> str:
    parts = [f"=== {catalog.title} ==="]
    for entry in catalog.shown:
        parts.append(f"Backup: {entry.key}\n{format_pairs(_fields(entry))}")
    parts.append("\n".join(summary(catalog)))
    return "\n\n".join(parts)


def _fields(entry: Entry) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name in [*HEADINGS, *(name for name in entry.record if name not in HEADINGS)]:
        value: str | None = entry.record.get(name)
        if value is not None and name.startswith("tamano_"):
            value = f"{format_bytes(value)} ({value} bytes)"
        elif value is not None and name == "duracion_s":
            value = format_duration(value)
        fields[HEADINGS.get(name, name)] = value
    fields["Nota"] = entry.notes or None
    return fields


def _info(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    information = catalog.information
    status: Mapping[str, Any] = information.get("status") or {}
    databases: Sequence[Mapping[str, Any]] = information.get("db") or []
    archives: Sequence[Mapping[str, Any]] = information.get("archive") or []
    held = ((status.get("lock") or {}).get("backup") or {}).get("held")
    archive = archives[-1] if archives else {}
    pairs: dict[str, object] = {
        "Stanza": catalog.stanza,
        "Status": status.get("message", "unknown") + (", a backup is running" if held else ""),
        "Cipher": information.get("cipher"),
        "PostgreSQL": f"{databases[-1]['version']}, system {databases[-1]['system-id']}" if databases else None,
        "WAL archive": f"{archive['min']} to {archive['max']}" if archive.get("min") else "empty",
        "Redis": catalog.reason
        or f"{catalog.count('recorded')} recorded, {catalog.count('unrecorded')} not yet, "
        f"{plural(catalog.count('orphan'), 'orphan')}, {catalog.count('foreign')} foreign",
    }
    if usage:
        pairs["On disk"] = f"{format_bytes(usage['bytes'])}, {format_bytes(usage['free'])} of the file system free"
    columns = [
        Column("Etiqueta"),
        Column("Tipo"),
        Column("Día", right=True),
        Column("Maestro"),
        Column("Base", right=True),
        Column("Copia", right=True),
        Column("Duración", right=True),
    ]
    rows = [
        [
            entry.name,
            *(entry.record.get(name, "-") for name in ("tipo_backup", "dia", "maestro_usado")),
            format_bytes(entry.record.get("tamano_base")),
            format_bytes(entry.record.get("tamano_copia")),
            format_duration(entry.record.get("duracion_s")),
        ]
        for entry in catalog.shown
    ]
    title = "PGBACKREST" if catalog.reason else "PGBACKREST Y REDIS"
    return f"{format_pairs(pairs, indent=0)}\n\n{_noted_table(catalog, columns, rows, title)}"


def _size(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    parts = []
    if usage:
        rows = [[item["path"], item["files"], format_bytes(item["bytes"])] for item in usage["directories"]]
        footer = [
            f"Total: {format_bytes(usage['bytes'])} on disk in {plural(usage['files'], 'file')}",
            f"Free: {format_bytes(usage['free'])} of {format_bytes(usage['capacity'])}",
        ]
        columns = [Column("Directorio"), Column("Archivos", right=True), Column("Tamaño", right=True)]
        parts.append(format_table(columns, rows, f"REPOSITORIO {usage['path']}", footer))
    if catalog.backups:
        columns = [
            Column("Etiqueta"),
            Column("Tipo"),
            Column("Base", right=True),
            Column("Copia", right=True),
            Column("Copia/Base", right=True),
        ]
        sized = [
            [
                entry.name,
                entry.record.get("tipo_backup", "-"),
                format_bytes(entry.record.get("tamano_base")),
                format_bytes(entry.record.get("tamano_copia")),
                _share(entry.record),
            ]
            for entry in catalog.backups[: catalog.limit or None]
        ]
        parts.append(format_table(columns, sized, "PESO DE LOS BACKUPS", summary(catalog)))
    else:
        parts.append(_empty(catalog))
    return "\n\n".join(parts)


def _share(record: Mapping[str, str]) -> str:
    whole, part = int(record.get("tamano_base", 0)), record.get("tamano_copia")
    return f"{100 * int(part) / whole:.1f} %" if whole and part is not None else "-"

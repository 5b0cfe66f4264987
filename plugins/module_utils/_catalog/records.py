# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog's records: how a backup of pgBackRest becomes a record, and what a synchronisation changes.

Everything here is computed from ``pgbackrest info --output=json`` and from what Redis holds now, so
a catalog that was lost is rebuilt from the repository with equal fields and values.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .._errors import RelevoError
from .._names import FIRST_REPOSITORY

Record = dict[str, str]

KEY_PREFIX = "backup:"
FOREIGN_INDEX = "relevo:foreign"
METHOD = "pgBackRest"
UNKNOWN_PRIMARY = "desconocido"
DEFAULT_STANZA = "main"
#: No cluster has it in its name: see the names that an inventory may have.
_OF_REPOSITORY = "@"
# Names, values and order of these seven are a contract older than this collection.
FIRST_FIELDS = ("fecha", "hora", "tipo_backup", "direccion_almacenamiento", "maestro_usado", "metodo", "stanza")
TYPES = {"full": "completo", "incr": "incremental", "diff": "diferencial"}
# The fields that are an annotation's value as it stands.
ANNOTATED_FIELDS = {
    "dia": "relevo-day",
    "paso": "relevo-step",
    "ciclo": "relevo-cycle",
    "solicitado": "relevo-requested",
    "solicitado_por": "relevo-by",
    "omitido": "relevo-skipped",
}

# What a drill found, kept with the backup (module_utils/_restore/drill.py); absent before the first one.
DRILL_FIELDS = {
    "verificado": "relevo-drill-at",
    "resultado": "relevo-drill-result",
    "motivo": "relevo-drill-reason",
    "rto_s": "relevo-drill-rto",
    "rpo_s": "relevo-drill-rpo",
}
PASSED = "correcto"
RESULTS = {"passed": PASSED, "failed": "fallido"}

# Every field in its order; a Redis hash with a long value does not keep the one of its writing.
FIELDS = (
    *FIRST_FIELDS,
    "etiqueta",
    *ANNOTATED_FIELDS,
    "previo",
    "tamano_base",
    "tamano_copia",
    "duracion_s",
    "wal_inicio",
    "wal_fin",
    "lsn_inicio",
    "lsn_fin",
    "sistema_id",
    "consistente",
    "error",
    *DRILL_FIELDS,
    "repositorio",
)
_PLACE = {name: place for place, name in enumerate(FIELDS)}

_LABEL = re.compile(r"^(?:\d{8}-\d{6}F_)?(\d{8})-(\d{6})[FDI]$")
_KEY = re.compile(r"^backup:(?:(?P<stanza>[^:]+):)?(?P<date>\d{4}-\d{2}-\d{2})_(?P<time>\d{2}-\d{2}-\d{2})$")


@dataclass(frozen=True)
class Key:
    """A record's key taken apart; ``epoch`` is its time as seconds, the label's local time read as UTC."""

    stanza: str
    date: str
    time: str
    epoch: int


@dataclass
class Plan:
    """What a synchronisation does: records to write, keys to delete, and what it leaves alone and why."""

    write: dict[str, Record] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    # Key of an old script's record -> (label, primary): the record knows the primary, its backup does not.
    adoptable: dict[str, tuple[str, str]] = field(default_factory=dict)
    # Keys that a backup needs and something foreign occupies.
    blocked: list[str] = field(default_factory=list)


def catalog_name(stanza: str, repository: int = FIRST_REPOSITORY) -> str:
    """What the catalog of a stanza's repository is called: each repository has its own, as each stanza has.

    All functions here take it where they take a stanza. That of the first one is the stanza's own name.
    """
    return stanza if repository == FIRST_REPOSITORY else f"{stanza}{_OF_REPOSITORY}{repository}"


def parts_of(catalog: str) -> tuple[str, int]:
    """The stanza and the repository of a catalog's name."""
    stanza, _separator, number = catalog.partition(_OF_REPOSITORY)
    return stanza, int(number or FIRST_REPOSITORY)


def index_for(stanza: str) -> str:
    """Return the name of the sorted set that indexes a stanza's records; outside the records' prefix."""
    return f"relevo:backups:{stanza}"


def label_time(label: str) -> tuple[str, str]:
    """Return date and time of a backup's label, as ``2025-10-09`` and ``04:07:19``.

    A label bears the repository host's local time; it is kept as it is, so that it can be found again.
    """
    match = _LABEL.match(label)
    if match is None:
        raise RelevoError(f"'{label}' is no label of a pgBackRest backup. Give one as 'pgbackrest info' prints it.")
    day, clock = match.groups()
    return f"{day[:4]}-{day[4:6]}-{day[6:]}", f"{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def key_for(label: str, stanza: str) -> str:
    """Return the key of the record of the backup ``label``; only other stanzas than ``main`` are part of it."""
    date, clock = label_time(label)
    middle = "" if stanza == DEFAULT_STANZA else f"{stanza}:"
    return f"{KEY_PREFIX}{middle}{date}_{clock.replace(':', '-')}"


def parse_key(key: str) -> Key | None:
    """Take a key apart; None when it is no record's key."""
    match = _KEY.match(key)
    if match is None:
        return None
    try:
        # Not strptime, which takes ten times as long, of each key of a catalog.
        moment = datetime.fromisoformat(f"{match['date']} {match['time'].replace('-', ':')}+00:00")
    except ValueError:
        return None
    return Key(
        stanza=match["stanza"] or DEFAULT_STANZA,
        date=match["date"],
        time=match["time"].replace("-", ":"),
        epoch=int(moment.timestamp()),
    )


def score_for(key: str) -> int:
    """Return the score of a key in an index: the seconds of its time, 0 for one that is not ours."""
    parsed = parse_key(key)
    return 0 if parsed is None else parsed.epoch


def system_ids(databases: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], str]:
    """Map (repository, database id) to the system identifier, from the ``db`` list of the information."""
    return {(int(db.get("repo-key", 1)), int(db["id"])): str(db["system-id"]) for db in databases}


def record_from_backup(
    backup: Mapping[str, Any],
    stanza: str,
    repo_path: str,
    systems: Mapping[tuple[int, int], str] | None = None,
) -> Record:
    """Return the record of one entry of ``backup`` in ``pgbackrest info --output=json``.

    Sizes are bytes, ``duracion_s`` seconds. A field whose value is not known is absent, never empty.
    """
    label = str(backup["label"])
    stanza, number = parts_of(stanza)
    made = str(backup["type"])
    if made not in TYPES:
        raise RelevoError(f"pgBackRest calls backup {label} '{made}', which this collection does not know. Update it.")
    date, clock = label_time(label)
    notes: Mapping[str, Any] = backup.get("annotation") or {}
    database: Mapping[str, Any] = backup.get("database") or {}
    info: Mapping[str, Any] = backup.get("info") or {}
    repository: Mapping[str, Any] = info.get("repository") or {}
    moments: Mapping[str, Any] = backup.get("timestamp") or {}
    wal: Mapping[str, Any] = backup.get("archive") or {}
    lsn: Mapping[str, Any] = backup.get("lsn") or {}
    duration = None
    if moments.get("start") is not None and moments.get("stop") is not None:
        duration = int(moments["stop"]) - int(moments["start"])
    values: dict[str, Any] = {
        "fecha": date,
        "hora": clock,
        "tipo_backup": TYPES[made],
        "direccion_almacenamiento": posixpath.join(repo_path, "backup", stanza, label),
        "maestro_usado": notes.get("relevo-primary", UNKNOWN_PRIMARY),
        "metodo": METHOD,
        "stanza": stanza,
        "etiqueta": label,
        **{name: notes.get(annotation) for name, annotation in ANNOTATED_FIELDS.items()},
        "previo": backup.get("prior"),
        "tamano_base": info.get("size"),
        "tamano_copia": repository.get("delta"),
        "duracion_s": duration,
        "wal_inicio": wal.get("start"),
        "wal_fin": wal.get("stop"),
        "lsn_inicio": lsn.get("start"),
        "lsn_fin": lsn.get("stop"),
        "sistema_id": (systems or {}).get((int(database.get("repo-key", 1)), int(database.get("id", 0)))),
        "consistente": "no" if notes.get("relevo-consistent") == "false" else "si",
        "error": "si" if backup.get("error") else "no",
        **{name: notes.get(annotation) for name, annotation in DRILL_FIELDS.items()},
        # Of the first one as it was before there could be another.
        "repositorio": None if number == FIRST_REPOSITORY else number,
    }
    if values["resultado"] is not None:
        values["resultado"] = RESULTS.get(str(values["resultado"]), str(values["resultado"]))
    return {name: str(value) for name, value in values.items() if value is not None}


def is_verified(record: Mapping[str, str]) -> bool:
    """Whether the last drill restored this backup, and found it good."""
    return record.get("resultado") == PASSED


def in_order(record: Mapping[str, str]) -> Record:
    """Return the record with its fields in their order, and any unknown ones behind them by name."""
    return {name: record[name] for name in sorted(record, key=lambda name: (_PLACE.get(name, len(_PLACE)), name))}


def desired_records(
    backups: Iterable[Mapping[str, Any]],
    stanza: str,
    repo_path: str,
    databases: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Record]:
    """Return the records that the repository's backups ask for, by key."""
    systems = system_ids(databases)
    return {
        key_for(str(backup["label"]), stanza): record_from_backup(backup, stanza, repo_path, systems)
        for backup in backups
    }


def record_label(record: Mapping[str, str]) -> str:
    """Return the label of a record's backup; the old scripts wrote it only as the end of the path."""
    return record.get("etiqueta") or posixpath.basename(record.get("direccion_almacenamiento", "").rstrip("/"))


def classify(key: str, record: Mapping[str, str] | None, stanza: str) -> str:
    """Say whose a record is: ``ours``, ``old`` (the former scripts') or ``foreign``.

    ``record`` is None for a key that holds something else than a hash.
    """
    parsed = parse_key(key)
    if parsed is None or not record or parsed.stanza != stanza:
        return "foreign"
    if record.get("metodo") != METHOD or record.get("stanza") != parts_of(stanza)[0]:
        return "foreign"
    return "ours" if record.get("etiqueta") else "old"


def plan_sync(desired: Mapping[str, Record], existing: Mapping[str, Record | None], stanza: str) -> Plan:
    """Compare what the repository asks for with what Redis holds.

    A record of ours whose backup is gone goes with it. An old script's record whose backup is gone is
    an orphan and stays. One that knows the primary of a backup that nobody annotated also stays: written
    over it would be lost, so it is named for adoption, and replaced once the backup bears the annotation.
    """
    plan = Plan()
    by_label = {record["etiqueta"]: record for record in desired.values()}
    for key, record in existing.items():
        kind = classify(key, record, stanza)
        if record is None or kind == "foreign":
            plan.foreign.append(key)
            if key in desired:
                plan.blocked.append(key)
            continue
        if kind == "ours":
            if key not in desired:
                plan.delete.append(key)
            continue
        wanted = by_label.get(record_label(record))
        primary = record.get("maestro_usado", UNKNOWN_PRIMARY) or UNKNOWN_PRIMARY
        if wanted is None:
            if key not in desired:
                plan.orphans.append(key)
        elif wanted["maestro_usado"] == UNKNOWN_PRIMARY and primary != UNKNOWN_PRIMARY:
            plan.adoptable[key] = (wanted["etiqueta"], primary)
        elif key not in desired:
            # The same backup stands under the key of its label.
            plan.delete.append(key)
    kept = {*plan.blocked, *plan.adoptable}
    adopted = {label for label, primary in plan.adoptable.values()}
    for key, record in desired.items():
        if key in kept or record["etiqueta"] in adopted:
            continue
        if existing.get(key) == record:
            plan.unchanged.append(key)
        else:
            plan.write[key] = record
    return plan


def status_of(key: str, record: Mapping[str, str] | None, stanza: str, labels: set[str] | None) -> str:
    """Return ``recorded``, ``orphan`` or ``foreign``; ``labels`` are the repository's, None when unknown."""
    if classify(key, record, stanza) == "foreign":
        return "foreign"
    if labels is not None and record is not None and record_label(record) not in labels:
        return "orphan"
    return "recorded"


def newest_first(keys: Iterable[str]) -> list[str]:
    """Sort keys by their time, the newest first; keys without a time come last, by name."""
    return sorted(keys, key=lambda key: (-score_for(key), key))

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tables are, in the scratch instance and on the primary, and why some are not restored by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._tables import format_bytes
from .tables import TableName, Wanted, quoted


@dataclass(frozen=True)
class Table:
    """One table of the scratch instance. ``asked``: somebody named it, others are its partitions or children.

    ``kind`` and ``persistence`` as in pg_class. ``columns``: name to type, without the generated ones. ``sequences``:
    those that it owns, as schema, name, last value and whether that was handed out. ``outside_parents``,
    ``outside_keys``: tables that were not asked for, the latter by the foreign key's oid. ``ancestors``: of a
    partition, as schema and name. ``rows``: None where they were not counted. ``incoming``: foreign keys that led to
    it, each with ``schema``, ``table``, ``name`` and ``definition``.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    partition: bool
    asked: bool
    owner: str
    size: int
    columns: Mapping[str, str]
    sequences: Sequence[Sequence[Any]] = ()
    outside_parents: Sequence[str] = ()
    outside_keys: Mapping[str, str] = field(default_factory=dict)
    extension: str = ""
    ancestors: Sequence[Sequence[str]] = ()
    large_objects: Sequence[str] = ()
    rows: int | None = None
    incoming: Sequence[Mapping[str, str]] = ()

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Table:
        return cls(**given)


_OTHER_KINDS = {
    "v": "is a view, which has no rows of its own",
    "m": "is a materialized view, which REFRESH fills",
    "f": "is a foreign table, whose rows are on another server",
    "S": "is a sequence",
    "c": "is a type",
    "i": "is an index",
    "I": "is an index",
    "t": "is PostgreSQL's own",
}


def source_refusals(wanted: Wanted, found: Sequence[Table]) -> list[str]:
    """Why the tables of the scratch instance are not taken, in sentences."""
    known = {one.table for one in found}
    why = [
        f"There was no table {name} in {wanted.database} at that moment. Capitals only count in double quotes."
        for name in wanted.tables
        if name not in known
    ]
    for one in found:
        if one.kind in _OTHER_KINDS:
            why.append(f"{one.table} {_OTHER_KINDS[one.kind]}. Name tables only.")
        elif one.persistence == "u":
            why.append(f"{one.table} is unlogged: it is in no backup. Name other tables.")
        elif one.extension:
            why.append(f"{one.table} belongs to the extension {one.extension}. Restore the whole database beside.")
        if one.outside_parents and not one.partition:
            parents = ", ".join(one.outside_parents)
            why.append(f"{one.table} inherits from {parents}, whose rows it would become. Name that table, too.")
        if one.large_objects:
            columns = ", ".join(one.large_objects)
            why.append(
                f"{one.table} refers to large objects ({columns}), which belong to the whole database. Restore that "
                "beside: leave out tables."
            )
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and not wanted.replaces:
        why.append(f"Several of these tables are named {twice[0]}, and they would come into one schema. Restore them "
                   "one after the other, each with -e into=NAME.")  # fmt: skip
    return why


@dataclass(frozen=True)
class Living:
    """A table of the primary that would be replaced; as ``Table``. ``rules``, ``children``: whether it has some.

    ``referenced_by``: tables that were not asked for and whose foreign keys lead to it.
    """

    schema: str
    name: str
    kind: str
    columns: Mapping[str, str]
    referenced_by: Sequence[str] = ()
    rules: bool = False
    inherits: bool = False

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)


def replace_refusals(found: Sequence[Table], living: Sequence[Living]) -> list[str]:
    """Why tables are not replaced in place, in sentences."""
    now = {one.table: one for one in living}
    why = []
    for one in found:
        there = now.get(one.table)
        if there is None:
            continue
        beside = "Restore it beside (leave out into), and take over what you need with SQL."
        if there.kind != one.kind and one.asked:
            why.append(f"{one.table} is of another kind now (relkind {there.kind}, then {one.kind}). {beside}")
        elif one.asked and dict(there.columns) != dict(one.columns):
            why.append(f"{one.table} has other columns now: {_differences(one.columns, there.columns)}. {beside}")
        if there.referenced_by:
            names = ", ".join(there.referenced_by)
            why.append(f"Foreign keys of {names} lead to {one.table}. Name these tables too, or restore it beside.")
        if there.rules:
            why.append(f"{one.table} has rules, which would change what is loaded. {beside}")
        if there.inherits:
            why.append(f"{one.table} has children or parents by INHERITS. {beside}")
    return why


def parted(found: Sequence[Table], living: Sequence[str]) -> tuple[list[Table], list[Table]]:
    """Those of which the rows are put back, and those that are made again; ``living``: the names of what is there.

    A partition that is gone while its table is there: its rows go into whatever partitions that has now.
    """
    there = [
        one
        for one in found
        if {str(one.table), *(str(TableName(*ancestor)) for ancestor in one.ancestors)} & set(living)
    ]
    return there, [one for one in found if one not in there]


def keys_that_went(found: Sequence[Table], living: Sequence[str]) -> list[Mapping[str, str]]:
    """The foreign keys that led to those that are made again; ``living``: the names of what was there before."""
    return [key for one in parted(found, living)[1] for key in one.incoming]


def add_key(key: Mapping[str, str]) -> str:
    """The statement that makes a foreign key again."""
    table = TableName(key["schema"], key["table"])
    return f"ALTER TABLE {table.sql} ADD CONSTRAINT {quoted(key['name'])} {key['definition']};"


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    gone = [name for name in then if name not in now]
    new = [name for name in now if name not in then]
    other = [f"{name} was {then[name]} and is {now[name]}" for name in then if name in now and now[name] != then[name]]
    said = [f"{', '.join(gone)} is missing"] if gone else []
    said += [f"{', '.join(new)} is new"] if new else []
    return "; ".join([*said, *other]) or "their order"


def keys_of(found: Sequence[Table]) -> list[int]:
    """The foreign keys that lead to tables that were not asked for."""
    return [int(key) for one in found for key in one.outside_keys]


# --- what is in an archive of pg_dump ----------------------------------------------------------------------------

_ENTRY = re.compile(r"^(?P<id>\d+); (?P<catalog>\d+) (?P<oid>\d+) (?P<rest>.*)$")


def list_without(contents: str, keys: Iterable[int] = (), *, schema: bool = False, sequences: bool = False) -> str:
    """The list of an archive's contents, as ``pg_restore -l`` prints it, with some taken out by a leading ``;``.

    ``keys``: foreign keys by their oid. ``schema``: the schemas themselves. ``sequences``: their positions.
    """
    unwanted = set(keys)
    lines = []
    for line in contents.splitlines():
        found = _ENTRY.match(line)
        drop = False
        if found:
            rest = found["rest"]
            drop = (
                (rest.startswith(("FK CONSTRAINT ", "CONSTRAINT ")) and int(found["oid"]) in unwanted)
                or (schema and re.match(r"SCHEMA - |(COMMENT|ACL) - SCHEMA ", rest) is not None)
                or (sequences and rest.startswith("SEQUENCE SET "))
            )
        lines.append(f";{line}" if drop else line)
    return "\n".join([*lines, ""])


def report(
    wanted: Wanted,
    destination: str,
    found: Sequence[Table],
    moment: str,
    primary: str,
    size: int,
    seconds: float,
    lacking: Sequence[Mapping[str, str]] = (),
) -> str:
    """What was done, in words. ``lacking``: the foreign keys of other tables that went with what was made again."""
    lines = [f"{_upper(wanted.what)}, as of {moment}: on {primary}, {wanted.place(destination)}."]
    for one in found:
        if one.asked and one.rows is not None:
            where = str(one.table) if wanted.replaces else str(TableName(destination, one.name))
            lines.append(f"  {where}: {one.rows} rows")
    keys = sorted({key for one in found for key in one.outside_keys.values()})
    if keys and not wanted.replaces:
        lines.append(f"  Without the foreign keys that led to tables that were not named: {', '.join(keys)}.")
    lines.append(f"  {format_bytes(size)} were carried over; loaded in {seconds:.1f} s, in one transaction.")
    if lacking:
        lines.append("  Other tables lost these foreign keys when the table that they led to was dropped. Add them:")
        lines += [f"    {add_key(key)}" for key in lacking]
    if wanted.tables and not wanted.replaces:
        first = found[0].table if found else TableName("public", "t")
        copy = TableName(destination, first.name)
        lines += [
            f"  Take over:  INSERT INTO {first} (...) SELECT ... FROM {copy} WHERE ...",
            f"              or, where it was dropped, ALTER TABLE {copy} SET SCHEMA {quoted(first.schema)}",
            f"  Remove:     DROP SCHEMA {destination} CASCADE",
        ]
    elif not wanted.tables:
        lines += [
            f"  Only its owner and superusers may connect: GRANT CONNECT ON DATABASE {quoted(destination)} TO ...",
            f"  Remove:     DROP DATABASE {quoted(destination)}",
        ]
    return "\n".join(lines)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]

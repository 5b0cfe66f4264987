# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unlogged tables: their rows are in no WAL, so a server that was a standby has none of them.

All databases of this node's server are asked, within a deadline for all together. Nobody is made to wait for this
knowledge, or to do without something else because it is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .session import Session, SessionError

DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"
TABLES = """
SELECT format('%I.%I', nspname, relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE relpersistence = 'u' AND relkind = 'r' AND {condition} ORDER BY 1"""
# Not pg_relation_size: that would wait for whoever has locked the table.
SIZE = "coalesce((pg_stat_file(pg_relation_filepath(c.oid), true)).size, 0)"
FILLED = TABLES.format(condition=f"{SIZE} > 0")
# On a new primary they are empty already. What the old one knew of their rows when it last analyzed them is in the
# catalog; -1 is one that it had not analyzed yet.
EMPTIED = TABLES.format(condition=f"reltuples <> 0 AND {SIZE} = 0")
#: Seconds for one database, so that one that does not answer leaves time for the others.
ONE = 1.0
#: How many tables are named of one database.
NAMED = 5


@dataclass(frozen=True)
class Unlogged:
    """By database its unlogged tables; ``unasked``: the databases that could not be asked in time."""

    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unasked: Sequence[str] = ()

    def sentences(self, becomes: str) -> list[str]:
        """``becomes``: what is said of such tables, "will be empty on b"."""
        listed = "; ".join(f"{database}: {_some(names)}" for database, names in self.tables.items())
        said = [f"The unlogged tables {becomes}, since their rows are in no WAL: {listed}."] if self.tables else []
        if self.unasked:
            said.append(f"Which unlogged tables {_some(self.unasked)} has could not be asked in time.")
        return said


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def unlogged_tables(query: str = FILLED, timeout: float = 5.0) -> Unlogged:
    """Ask this node's server; ``timeout``: seconds for all databases together."""
    deadline = time.monotonic() + timeout
    tables: dict[str, list[str]] = {}
    unasked: list[str] = []
    try:
        with Session.local(application_name="relevo unlogged", timeout=timeout) as session:
            databases = [str(row["datname"]) for row in session.query(DATABASES)]
    except SessionError:
        return Unlogged(unasked=["the server"])
    for database in databases:
        remaining = deadline - time.monotonic()
        try:
            if remaining <= 0:
                raise SessionError("no time is left")
            with Session.local(database, application_name="relevo unlogged", timeout=min(ONE, remaining)) as session:
                found = [str(row["name"]) for row in session.query(query)]
        except SessionError:
            # One that a lock hinders, that is being dropped, or that comes too late.
            unasked.append(database)
            continue
        if found:
            tables[database] = found
    return Unlogged(tables, unasked)

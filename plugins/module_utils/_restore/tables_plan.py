# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where tables, or a database, would go on the primary, and what that would cost: the plan, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._operation_plan import Effect, OperationPlan
from .plan import WAL_ROOM
from .tables import NOT_TO_RESTORE, UNFINISHED, Wanted, moment_of, stamp_of


@dataclass(frozen=True)
class Primary:
    """``databases`` and ``schemas`` (those of the wanted database): name to comment. ``published_whole``: publications
    FOR ALL TABLES. Bytes; ``reserve`` stays free."""

    name: str
    databases: Mapping[str, str]
    schemas: Mapping[str, str]
    published_whole: Sequence[str] = ()
    free: int = 0
    reserve: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Primary:
        return cls(**given)


def noted(wanted: Wanted, primary: Primary, destination: str) -> str | None:
    """The comment of what is there under the name that is wanted; None where nothing is."""
    there = primary.schemas if wanted.tables else primary.databases
    return there.get(destination) if destination else None


def named_already(wanted: Wanted, primary: Primary, destination: str, note: str) -> list[str]:
    """Why it would not be put onto the primary under that name, in sentences.

    ``note``: the comment of what an earlier run has made, in its own transaction; empty where that is not known yet.
    """
    if wanted.tables and wanted.database not in primary.databases:
        have = ", ".join(sorted(set(primary.databases) - set(NOT_TO_RESTORE)))
        return [
            f"{primary.name} has no database {wanted.database}. It has {have}. Where it was dropped, restore all of "
            "it: leave out tables."
        ]
    comment = noted(wanted, primary, destination)
    if comment is None or comment in (note, UNFINISHED):
        return []
    kind = "schema" if wanted.tables else "database"
    return [
        f"{primary.name} has a {kind} {destination} already, with something else in it ({comment or 'no comment'}). "
        "Drop it, or give another name: -e into=NAME."
    ]


def room_refusal(primary: Primary, size: int) -> str:
    """Why the primary has too little space, as a sentence; ``size``: bytes of what comes.

    As much for the file it is loaded from, at most, and for the WAL that is written.
    """
    want = 2 * size + WAL_ROOM
    if primary.free - primary.reserve >= want:
        return ""
    return (
        f"{primary.name} has {primary.free // 2**20} MiB free, of which {primary.reserve // 2**20} MiB stay free, and "
        f"this needs {want // 2**20} MiB: the data twice and WAL. Make room there; none of it was loaded."
    )


def question(wanted: Wanted, cluster: str) -> str:
    """What has to be confirmed with the cluster's name; empty where nothing is lost."""
    if not wanted.replaces:
        return ""
    return f"This replaces {wanted.what}, and what was written to it since is lost. Confirm it: -e confirm={cluster}."


@dataclass(frozen=True)
class Origin:
    """The scratch instance ``name`` on ``host``. ``there``: it has reached its target already. ``stays``: at the end.

    ``request`` and ``reached`` as it has them; ``sentence``: its target in words.
    """

    host: str
    name: str
    request: Mapping[str, Any]
    reached: Mapping[str, Any]
    sentence: str
    there: bool
    stays: bool


def describe_tables(
    base: OperationPlan, wanted: Wanted, origin: Origin, primary: Primary
) -> tuple[OperationPlan, bool]:
    """The plan, and whether an earlier run has done it; ``base``: the plan of the scratch instance."""
    destination = wanted.destination(stamp_of(origin.request, origin.reached))
    known = bool(origin.reached) or origin.request.get("target_type") not in ("latest", "immediate")
    note = wanted.note(moment_of(origin.request, origin.reached)) if known else ""
    refusals = [*base.refusals, *named_already(wanted, primary, destination, note)]
    if refusals:
        message = "It would not be begun. Nothing was touched."
        return OperationPlan("restore", base.cluster, "none", message, expected=base.expected, refusals=refusals), False
    place = wanted.place(destination)
    if note and noted(wanted, primary, destination) == note:
        return OperationPlan("restore", base.cluster, "none", f"{wanted.what}: already there, in the {place}."), True
    expected = [one for one in base.expected if not one.startswith("The cluster loses nothing")]
    risks = list(base.risks)
    if wanted.replaces:
        change = f"gets back {wanted.what} as it was, in one transaction"
        risks.append("Nobody can read or write these tables while they are loaded; what was written since is lost.")
        risks.append(
            "Of a table that is gone, what was dropped with it in other tables does not come back: views, and foreign "
            "keys that led to it. The report has the statements for these keys."
        )
    else:
        change = f"gets the {place}, in one transaction"
        expected.append("Nothing that is there now is changed.")
    if primary.published_whole and wanted.tables and not wanted.replaces:
        listed = ", ".join(primary.published_whole)
        risks.append(
            f"The new tables are published too ({listed} is FOR ALL TABLES); a subscriber that has no such tables "
            "stops at them."
        )
    action = "replace-tables" if wanted.replaces else "restore-tables" if wanted.tables else "restore-database"
    stays = "stays" if origin.stays else "is removed at the end"
    shown = OperationPlan(
        "restore",
        base.cluster,
        action,
        f"{wanted.what}, as of {origin.sentence}, {place}.",
        affects=[*base.affects, Effect(primary.name, change)],
        expected=[*expected, f"The scratch instance {origin.name} {stays}."],
        risks=risks,
    )
    return shown, False

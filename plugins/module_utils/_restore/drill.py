# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill: which backup is tried, what is looked at in it, and what becomes of the result.

The result is kept with the backup, as annotations; an old one is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan
from .._recovery_window import of_newest_system
from .._tables import format_bytes, format_duration
from .plan import RestorePlan
from .reach import Repository, leads_to

NEWEST, RANDOM = "newest", "random"
#: An annotation is to be read in a table; pgBackRest's words may be long.
LONGEST_REASON = 300


@dataclass(frozen=True)
class Check:
    """The first value that ``query`` returns in ``database`` must be ``expect``, both as text."""

    database: str
    query: str
    expect: str
    name: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Check:
        missing = [key for key in ("database", "query", "expect") if key not in given]
        if missing:
            raise RelevoError(f"A check of drill_checks has no {missing[0]}. Each needs database, query and expect.")
        if unknown := sorted(map(str, set(given) - {one.name for one in fields(cls)})):
            raise RelevoError(
                f"A check of drill_checks has {', '.join(unknown)}, which is not known. It takes "
                f"{', '.join(one.name for one in fields(cls))}."
            )
        return cls(str(given["database"]), str(given["query"]), text_of(given["expect"]), str(given.get("name", "")))

    def verdict(self, found: object) -> str:
        """What is wrong with an answer, as a sentence; empty when nothing is."""
        answer = text_of(found)
        title = self.name or self.query
        return "" if answer == self.expect else f"{title} in {self.database}: {answer}, expected {self.expect}."


@dataclass(frozen=True)
class Result:
    """What was found. Seconds; ``rpo_s`` is how old the newest archived WAL was, what a loss then would have cost at
    most. ``notes``: what could not be looked at, which makes no backup fail."""

    label: str
    at: str
    copy_s: float = 0.0
    recovery_s: float = 0.0
    check_s: float = 0.0
    rpo_s: float | None = None
    lsn: str = ""
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def rto_s(self) -> float:
        """Until the server accepted writes."""
        return round(self.copy_s + self.recovery_s, 1)

    def annotations(self) -> dict[str, str]:
        """All of the drill's keys: those without a value remove what an earlier drill left."""
        return {
            "relevo-drill-at": self.at,
            "relevo-drill-result": "passed" if self.passed else "failed",
            "relevo-drill-reason": " ".join([*self.failures, *self.notes])[:LONGEST_REASON],
            "relevo-drill-rto": f"{self.rto_s:g}" if self.passed else "",
            "relevo-drill-rpo": "" if self.rpo_s is None else f"{max(self.rpo_s, 0):.0f}",
        }


def text_of(value: object) -> str:
    """A value as PostgreSQL prints it: what YAML made a boolean of, too."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def candidates(backups: Sequence[Mapping[str, Any]], databases: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The backups that ought to restore, oldest first; one with page errors is one of them, and fails."""
    return [
        backup
        for backup in of_newest_system(backups, databases)
        if (backup.get("annotation") or {}).get("relevo-consistent") != "false"
    ]


def to_the_newest(backups: Sequence[Mapping[str, Any]], repository: Repository) -> Sequence[Mapping[str, Any]]:
    """Those from which a way leads to the newest timeline; all where none does, or its way is not known.

    After a failover with a loss the newest backup may be one of the abandoned timeline's.
    """
    newest = max(repository.branches.values(), key=lambda branch: branch.timeline)
    known = [one for one in backups if (one.get("archive") or {}).get("stop") and (one.get("lsn") or {}).get("stop")]
    return [one for one in known if newest.known and leads_to(newest, one)] or backups


def choose(
    backups: Sequence[Mapping[str, Any]],
    wanted: str,
    last: int,
    pick: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]],
    leading: Sequence[Mapping[str, Any]] | None = None,
) -> Mapping[str, Any]:
    """The backup to try: its label, the newest, or one that ``pick`` takes of the ``last`` ones.

    ``leading``: those of which one that is not named is taken, if not of all.
    """
    if not backups:
        raise RelevoError("The repository holds no backup to try. Take one with backup.yml.")
    unnamed = backups if leading is None else leading
    if wanted in ("", NEWEST):
        return unnamed[-1]
    if wanted == RANDOM:
        return pick(unnamed[-max(last, 1) :])
    found = [backup for backup in backups if backup["label"] == wanted]
    if not found:
        have = ", ".join(str(backup["label"]) for backup in backups)
        raise RelevoError(f"The repository has no backup {wanted} to try. It has {have}.")
    return found[0]


def describe_drill(cluster: str, host: str, label: str, plan: RestorePlan | None, refusals: list[str]) -> OperationPlan:
    """``plan`` None with refusals, or where it is known beforehand that the backup fails."""
    if refusals:
        return OperationPlan("drill", cluster, "none", "It would not be begun.", refusals=refusals)
    expected = ["It ends red: the way from that backup is broken."]
    if plan:
        took = "not known before the first" if plan.expected_s is None else f"about {format_duration(plan.expected_s)}"
        expected = [
            f"Space: {format_bytes(plan.needed)} needed for as long as it takes, {format_bytes(plan.free)} free.",
            f"WAL to replay: at most {plan.segments} segments. Time: {took}.",
            "pg_amcheck over all databases, then your checks. Only the result stays, with the backup.",
        ]
    message = f"the backup {label} is restored beside the cluster, looked at, and removed."
    return OperationPlan(
        "drill", cluster, "drill", message, affects=[Effect(host, "restores it, at low priority")], expected=expected
    )


def report(result: Result, cluster: str) -> str:
    """For people."""
    verdict = "restores" if result.passed else "DOES NOT RESTORE"
    rpo = "not known" if result.rpo_s is None else f"{max(result.rpo_s, 0):.0f} s at most"
    lines = [f"Drill of {cluster}: the backup {result.label} {verdict}."]
    if result.lsn:
        lines += [
            f"  Copied in {result.copy_s:g} s, recovered to {result.lsn} in {result.recovery_s:g} s, checked in "
            f"{result.check_s:g} s.",
            f"  RTO {result.rto_s:g} s; RPO {rpo}.",
        ]
    found = [*(f"  ! {failure}" for failure in result.failures), *(f"  ? {note}" for note in result.notes)]
    return "\n".join([*lines, *found])

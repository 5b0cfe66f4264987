# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cycle of backups: which day it is, and which steps of it are still to be made.

All of it is read from the annotations of the repository's backups, so there is no state that could be lost, be
wrong, or be parted from the backups. Backups without our annotations, made by hand, do not count.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan
from .._tables import Column, format_bytes, format_duration, format_table, plural

PRIMARY, CYCLE, DAY, STEP = "relevo-primary", "relevo-cycle", "relevo-day", "relevo-step"
REQUESTED, BY, SKIPPED = "relevo-requested", "relevo-by", "relevo-skipped"
TYPES = ("full", "diff", "incr")
KINDS = {"full": "a full", "diff": "a differential", "incr": "an incremental"}
AUTO = "auto"

# "3:1/2@20261124T120000Z": step 1 of the two of day 3 was skipped then. Several stand in one annotation, in order.
_SKIP = re.compile(r"^(\d+):(\d+)/(\d+)(?:@(\d{8}T\d{6}Z))?$")
_STEP = re.compile(r"^(\d+)/(\d+)$")
_INSTANT = "%Y%m%dT%H%M%SZ"

Days = Mapping[int, Sequence[str]]


def instant(moment: datetime.datetime) -> str:
    """Return a moment as annotations bear it: UTC, ``20261124T120000Z``."""
    return moment.astimezone(datetime.UTC).strftime(_INSTANT)


def _parse_instant(text: str | None) -> datetime.datetime | None:
    """Take a moment apart; None when it is none (annotations can be written by anybody)."""
    try:
        return datetime.datetime.strptime(text or "", _INSTANT).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


@dataclass(frozen=True)
class Done:
    """A step that has been done: as a backup, or (``label`` is then the backup before it) by skipping it."""

    day: int
    step: int
    cycle: str
    label: str
    requested: datetime.datetime | None
    finished: datetime.datetime | None

    def recent(self, now: datetime.datetime, rest: datetime.timedelta) -> str | None:
        """Say when it was done, if that is so recent that a relaunched job must not go on to the next day.

        The date on which it was asked for counts, not that of its end: a backup that is started every evening and
        ends after midnight would else be passed over every second day. ``rest`` covers a relaunch after midnight.
        """
        begun = self.requested or self.finished
        if begun is not None and begun.astimezone(now.tzinfo).date() == now.date():
            return f"today ({now.date()})"
        if self.finished is not None and now - self.finished < rest:
            return f"{(now - self.finished).total_seconds() / 3600:.1f} h ago"
        return None


@dataclass(frozen=True)
class Step:
    """A step to be made: what is asked of pgBackRest, and the annotations that go with it."""

    type: str
    day: int
    number: int
    count: int
    annotations: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "day": self.day,
            "step": f"{self.number}/{self.count}",
            "annotations": self.annotations,
        }


@dataclass(frozen=True)
class Plan:
    """What a run does. ``reason`` is the sentence that says why these steps, or why none."""

    day: int
    reason: str
    cycle: str = ""
    steps: list[Step] = field(default_factory=list)
    next_day: int = 0

    @property
    def nothing_to_do(self) -> bool:
        return not self.steps

    def as_dict(self) -> dict[str, Any]:
        return {
            "day": self.day,
            "cycle": self.cycle,
            "steps": [step.as_dict() for step in self.steps],
            "nothing_to_do": self.nothing_to_do,
            "reason": self.reason,
            "next_day": self.next_day,
        }


def parse_days(given: Mapping[Any, Any]) -> dict[int, list[str]]:
    """Return the cycle with numbers as keys; ``RelevoError`` when it is none."""
    days: dict[int, list[str]] = {}
    for key, types in given.items():
        if not str(key).isdecimal() or not isinstance(types, (list, tuple)) or not types:
            raise RelevoError(
                f"backup_cycle_days: day '{key}' is not a number with a list of backups. Write it like 3: [incr, diff]."
            )
        unknown = [name for name in types if name not in TYPES]
        if unknown:
            raise RelevoError(f"backup_cycle_days: day {key} has '{unknown[0]}'. Choose among {', '.join(TYPES)}.")
        days[int(key)] = list(types)
    if not days:
        raise RelevoError("backup_cycle_days is empty. Give at least day 1.")
    return dict(sorted(days.items()))


def parse_day(requested: str | int, days: Days) -> int | None:
    """Return the requested day; None for ``auto``; ``RelevoError`` for what is neither."""
    text = str(requested).strip()
    if text.lower() == AUTO:
        return None
    if text.isdecimal() and int(text) in days:
        return int(text)
    known = ", ".join(str(day) for day in days)
    raise RelevoError(
        f"There is no day '{requested}' in the cycle. Nothing was touched. Choose one of {known}, or auto."
    )


def following(day: int, days: Days) -> int:
    """Return the day after ``day``.

    When the last day ends with the full backup that the first day consists of, that full opens the next cycle, and
    the first day is passed over.
    """
    numbers = sorted(days)
    later = [number for number in numbers if number > day]
    if later:
        return later[0]
    opened = day in days and days[day][-1] == "full" and list(days[numbers[0]]) == ["full"]
    return numbers[1] if opened and len(numbers) > 1 else numbers[0]


def history(backups: Sequence[Mapping[str, Any]]) -> list[Done]:
    """Return the steps that have been done, the oldest first, from the ``backup`` list of the information."""
    found: list[Done] = []
    cycle = ""
    for backup in sorted(backups, key=lambda entry: (int(entry["timestamp"]["stop"]), str(entry["label"]))):
        notes: Mapping[str, str] = backup.get("annotation") or {}
        label = str(backup["label"])
        step = _STEP.match(notes.get(STEP, ""))
        if step and notes.get(DAY, "").isdecimal():
            cycle = notes.get(CYCLE, "")
            finished = datetime.datetime.fromtimestamp(int(backup["timestamp"]["stop"]), datetime.UTC)
            requested = _parse_instant(notes.get(REQUESTED))
            found.append(Done(int(notes[DAY]), int(step[1]), cycle, label, requested, finished))
        for skip in notes.get(SKIPPED, "").split():
            entry = _SKIP.match(skip)
            if entry:
                when = _parse_instant(entry[4])
                found.append(Done(int(entry[1]), int(entry[2]), cycle, label, when, when))
    return found


def _steps(
    day: int, first: int, days: Days, cycle: str, requested: str, notes: Mapping[str, str]
) -> tuple[str, list[Step]]:
    """The steps of a day from number ``first`` on, and the cycle after them; each full opens a cycle."""
    steps = []
    types = days[day]
    for number, kind in enumerate(types, start=1):
        if number < first:
            continue
        if kind == "full" or not cycle:
            cycle = requested
        annotations = {
            **notes,
            CYCLE: cycle,
            DAY: str(day),
            STEP: f"{number}/{len(types)}",
            REQUESTED: requested,
        }
        steps.append(Step(kind, day, number, len(types), annotations))
    return cycle, steps


@dataclass(frozen=True)
class CycleRequest:
    """What a run is asked for: ``day``, a number of ``days`` or ``auto``.

    ``notes`` are the annotations that do not depend on the cycle. ``force`` goes on although a day was begun and
    finished on this date, or ended within ``rest``. ``only_first`` is for provisioning: nothing is done unless the
    repository is empty.
    """

    day: str | int
    days: Days
    notes: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    only_first: bool = False
    rest: datetime.timedelta = datetime.timedelta(hours=6)


def plan(backups: Sequence[Mapping[str, Any]], request: CycleRequest, now: datetime.datetime) -> Plan:
    """Decide what a run does; ``now`` bears the time zone of the repository host, whose dates count."""
    days = request.days
    day = parse_day(request.day, days)
    done = history(backups)
    last = done[-1] if done else None
    if request.only_first and backups:
        newest = max(backups, key=lambda entry: int(entry["timestamp"]["stop"]))["label"]
        known = last.day if last else 0
        return Plan(known, f"there is a backup already ({newest})", next_day=following(known, days))

    half_done = last is not None and last.day in days and last.step < len(days[last.day])
    first = 1
    if last is not None and half_done and day in (None, last.day):
        day, first = last.day, last.step + 1
        reason = f"it was half done, {len(days[day]) - last.step} of its {len(days[day])} backups were left"
    elif day is not None:
        reason = "it was asked for"
    elif last is None:
        day = min(days)
        reason = "the repository had no backup of the cycle"
    else:
        day = following(last.day, days)
        when = last.recent(now, request.rest)
        if when and not request.force:
            return Plan(last.day, f"day {last.day} was finished {when}", last.cycle, next_day=day)
        reason = f"the last finished day was {last.day}"
    cycle, steps = _steps(day, first, days, last.cycle if last else "", instant(now), request.notes)
    return Plan(day, reason, cycle, steps, following(day, days))


def skip_note(backups: Sequence[Mapping[str, Any]], step: Mapping[str, Any]) -> tuple[str, str]:
    """Return the newest backup's label, and its annotation ``relevo-skipped`` with a step added that was skipped.

    So a skipped step counts as done without a file that says so.
    """
    newest = max(backups, key=lambda entry: (int(entry["timestamp"]["stop"]), str(entry["label"])))
    before = (newest.get("annotation") or {}).get(SKIPPED, "")
    requested = step["annotations"][REQUESTED]
    return str(newest["label"]), f"{before} {step['day']}:{step['step']}@{requested}".strip()


def primary_of(backup: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which server a backup was made of, given the primary (name, timeline) before and after it.

    pgBackRest finds the primary by itself, and a promotion under a backup ends it: so a hand-over came either before
    it began or after it had ended. The timeline in the name of its first WAL segment tells which.
    """
    if before["name"] == after["name"]:
        return str(before["name"])
    start = str((backup.get("archive") or {}).get("start") or "")
    timeline = int(start[:8], 16) if re.match(r"^[0-9A-F]{8}", start) else None
    if before["timeline"] != after["timeline"]:
        if timeline == before["timeline"]:
            return str(before["name"])
        if timeline == after["timeline"]:
            return str(after["name"])
    raise RelevoError(
        f"The primary changed from {before['name']} to {after['name']} while backup {backup['label']} was made, and "
        "its first WAL segment does not tell of which one. Look at it with 'pgbackrest info --set', and run backup.yml "
        "again.",
        label=backup["label"],
    )


def report_text(plan: Mapping[str, Any], made: Sequence[Mapping[str, Any]], stanza: str, repository: str = "") -> str:
    """Return what a run did, for people. ``made`` are the results of ``pgbackrest_backup``,
    in order, each with the ``primary`` that was backed up. ``repository``: which one, where there are two.
    """
    where = f"In {repository}: " if repository else ""
    if plan["nothing_to_do"]:
        return f"{where}Nothing to do: {plan['reason']}. The next is day {plan['next_day']}."
    lines = [f"{where}Day {plan['day']} of the cycle {plan['cycle']} is done ({plan['reason']})."]
    rows = [
        (
            str(result["label"]),
            str(result["type"]),
            format_bytes((result["backup"]["info"].get("repository") or {}).get("delta")),
            format_duration(result["duration"]),
            str(result["primary"]),
        )
        for result in made
        if not result["skipped_step"]
    ]
    if rows:
        columns = [Column("backup"), Column("type"), Column("size", True), Column("time", True), Column("primary")]
        lines += ["", format_table(columns, rows), ""]
    skipped = sum(1 for result in made if result["skipped_step"])
    if skipped:
        lines.append(f"{plural(skipped, 'backup')} skipped: no file had changed since the last one.")
    expired = [label for result in made for label in result["expired"]]
    lines.append(f"Expired: {plural(len(expired), 'backup') if expired else 'nothing'}.")
    lines += [f"  {label}" for label in expired]
    lines.append(f"The next is day {plan['next_day']} of stanza {stanza}.")
    return "\n".join(lines)


def lacking_text(failures: Mapping[Any, Mapping[str, Any]], cluster: str, count: int) -> str:
    """What one of a cluster's ``count`` repositories lacks after a run; empty where none failed.

    ``failures``: by number ``why``, the ``steps`` of the day (None where it came to none), and what was ``made``.
    One that has its backups and then failed, such as at the catalog, has them all the same.
    """
    whole = {
        number: one
        for number, one in failures.items()
        if one["steps"] is not None and len(one["made"]) == len(one["steps"])
    }
    without = [f"repository {number} ({one['why']})" for number, one in failures.items() if number not in whole]
    said = [f"Repository {number} has its backups, but then: {one['why']}" for number, one in whole.items()]
    if without:
        others = "No repository got one." if len(without) == count else "The other repository got its own."
        said = [f"No backup of {cluster} in {', '.join(without)}. {others}", *said]
    return " ".join(said)


def several_text(failures: Mapping[str, str | None]) -> str:
    """Which clusters were not backed up, a line each; empty when all were.

    ``failures``: by cluster the sentence that its backup failed with, empty where it did not, None where nobody knows:
    the repository host went away, or the play was ended.
    """
    lines = [
        f"{name}: {' '.join(why.split()) if why else 'it is not known how far it got; see above.'}"
        for name, why in failures.items()
        if why != ""
    ]
    if not lines:
        return ""
    counted = f"Not backed up: {len(lines)} of {plural(len(failures), 'cluster')}."
    return "\n".join([counted, *lines, *(["The others were."] if len(lines) < len(failures) else [])])


def describe(
    plan: Plan, backups: Sequence[Mapping[str, Any]], cluster: str, primary: str = "", repository: str = ""
) -> OperationPlan:
    """What a run is about to do, for people and programs; ``repository``: in which one, where there are two."""
    where = f"In {repository}: " if repository else ""
    if plan.nothing_to_do:
        message = f"{where}Nothing to do: {plan.reason}. The next is day {plan.next_day}."
        return OperationPlan("backup", cluster, "none", message)
    source = f" of {primary}" if primary else ""
    affects = [
        Effect(
            repository or "the repository",
            f"gets {KINDS[step.type]} backup{source} (day {step.day}, step {step.number}/{step.count})",
        )
        for step in plan.steps
    ]
    expected = [one for step in plan.steps if (one := _as_last_time(step.type, backups))]
    if any(step.type == "full" for step in plan.steps):
        expected.append("Full backups beyond pgbackrest_retention_full, and what depends on them, expire.")
    risks = ["A hand-over is refused while a backup runs."]
    message = f"{where}Day {plan.day} of the cycle: {plan.reason}."
    return OperationPlan("backup", cluster, "backup", message, affects, expected, risks)


def _as_last_time(kind: str, backups: Sequence[Mapping[str, Any]]) -> str:
    """How long the newest backup of a type took, and what it put into the repository; empty where there is none."""
    same = [backup for backup in backups if backup.get("type") == kind]
    if not same:
        return ""
    newest = max(same, key=lambda entry: int(entry["timestamp"]["stop"]))
    stamps = newest["timestamp"]
    took = format_duration(int(stamps["stop"]) - int(stamps.get("start", stamps["stop"])))
    size = format_bytes(((newest.get("info") or {}).get("repository") or {}).get("delta"))
    return f"The last {kind} backup took {took} and {size} in the repository."

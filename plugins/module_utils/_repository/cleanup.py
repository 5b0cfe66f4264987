# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cleanup removes: decided from what the repository and the catalog hold, before anything is touched.

A backup that is needed (pinned, or read by a restore) keeps all that it builds on. Whatever else depends on a backup
that goes, goes with it: there is never a chain without its base.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan
from .._tables import format_bytes, plural
from .pins import chain, is_full, stop_of

SHOW, KEEP, RETENTION, ORPHANS, ALL = OPERATIONS = ("show", "keep", "retention", "orphans", "all")
#: Those that remove something, in the order in which they are shown.
REMOVING = OPERATIONS[1:]

#: What ``show`` shows of ``keep`` where no number is given; the former script's default.
DEFAULT_KEEP = 2
#: What no plan of ours prevents.
OTHERS = "pgBackRest called by hand or by another scheduler knows no pins, and"

Backup = Mapping[str, Any]


def parse_operation(answer: str) -> str:
    """An operation from its name, or from its number in the menu; nothing is ``show``."""
    text = answer.strip().lower() or SHOW
    if text.isdecimal() and 1 <= int(text) <= len(OPERATIONS):
        return OPERATIONS[int(text) - 1]
    if text not in OPERATIONS:
        raise RelevoError(
            f"There is no operation '{answer}'. Nothing was touched. Choose one of {', '.join(OPERATIONS)}."
        )
    return text


@dataclass(frozen=True)
class CleanupRequest:
    """What is asked for. ``keep``: full backups; ``confirm``: what was typed for ``all``.

    ``repository``: the number of the one that is meant, where there are two; 0 where nobody need be told.
    """

    operation: str
    stanza: str
    keep: int = 0
    confirm: str = ""
    repository: int = 0

    def __post_init__(self) -> None:
        parse_operation(self.operation)
        if self.operation == KEEP and self.keep < 1:
            raise RelevoError(
                "operation=keep needs the number of full backups to keep. Nothing was touched. "
                "Give -e keep=N with N of 1 or more; operation=all removes every backup."
            )

    @property
    def whose(self) -> str:
        """The stanza, and in which repository."""
        return f"{self.stanza} in repository {self.repository}" if self.repository else self.stanza


@dataclass(frozen=True)
class Holdings:
    """What there is. ``backups``: as ``info`` lists them. ``needed``: why a backup must stay, by label.

    ``expired``: the labels that pgBackRest's own retention would remove now. ``sizes``: bytes on disk by label.
    ``wal``: bytes of each archived segment, by name. ``orphans`` and ``unrecorded``: keys of the catalog, None where
    Redis did not answer (``reason`` says why). ``exists``: whether there is a stanza, and a whole one.
    ``mounted``: false where the repository is a directory with nothing of pgBackRest's in it.
    """

    backups: Sequence[Backup]
    needed: Mapping[str, str] = field(default_factory=dict)
    expired: Collection[str] = ()
    retention: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    wal: Mapping[str, int] = field(default_factory=dict)
    orphans: Sequence[str] | None = ()
    unrecorded: Sequence[str] | None = ()
    reason: str = ""
    exists: bool = True
    mounted: bool = True
    #: How far a backup is that runs now; empty when there is none.
    running: str = ""


@dataclass(frozen=True)
class Removal:
    """What is removed: labels of backups, the newest first, and keys of records.

    ``roots``: of the backups, those that no other one of them is the base of; to remove these removes all.
    ``fulls_left``: full backups that stay. ``stays``: what would have gone, and why it does not, by label.
    """

    operation: str
    backups: list[str] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    fulls_left: int = 0
    stays: dict[str, str] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    backup_bytes: int = 0
    wal_bytes: int = 0
    segments: int = 0
    refusals: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.backups or self.records or self.recorded or self.segments)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "nothing": self.nothing}


def removal(request: CleanupRequest, found: Holdings) -> Removal:
    """Decide what one operation removes."""
    if request.operation == ORPHANS:
        return _orphans(found)
    if request.operation == ALL:
        return _all(request, found)
    unwanted = set(found.expired) if request.operation == RETENTION else _older(found.backups, request.keep)
    return _thinned(request.operation, unwanted, found)


def _older(backups: Sequence[Backup], keep: int) -> set[str]:
    """All that belongs to none of the newest ``keep`` full backups."""
    fulls = sorted((backup for backup in backups if is_full(backup)), key=stop_of, reverse=True)
    kept = {str(full["label"]) for full in fulls[:keep]}
    return {str(backup["label"]) for backup in backups if not kept & set(chain(str(backup["label"]), backups))}


def _thinned(operation: str, unwanted: set[str], found: Holdings) -> Removal:
    bases = {label: set(chain(str(label), found.backups)) for label in (str(one["label"]) for one in found.backups)}
    stays = {
        label: reason for needed, reason in found.needed.items() for label in bases.get(needed, ()) if label in unwanted
    }
    # What depends on a backup that goes cannot stay.
    goes = {label for label in bases if (bases[label] & unwanted) - set(stays)} - set(stays)
    left = [backup for backup in found.backups if backup["label"] not in goes]
    if found.backups and not any(map(is_full, left)):
        return Removal(operation, refusals=["No full backup would be left. operation=all removes every backup."])
    fulls = [backup for backup in left if is_full(backup)]
    segments = _segments_before(fulls, found.wal) if found.backups else []
    return Removal(
        operation,
        backups=sorted(goes, reverse=True),
        roots=sorted(label for label in goes if not (bases[label] - {label}) & goes),
        fulls_left=len(fulls),
        stays=dict(sorted(stays.items())),
        backup_bytes=sum(found.sizes.get(label, 0) for label in goes),
        wal_bytes=sum(found.wal[name] for name in segments),
        segments=len(segments),
    )


def _segments_before(fulls: Sequence[Backup], wal: Mapping[str, int]) -> list[str]:
    """The segments that no full backup that stays needs: those before the first of them."""
    starts = [str((full.get("archive") or {}).get("start") or "")[8:] for full in fulls]
    first = min(filter(None, starts), default="")
    return [name for name in wal if name[8:] < first]


def _orphans(found: Holdings) -> Removal:
    if found.orphans is None or found.unrecorded is None:
        return Removal(ORPHANS, refusals=[found.reason])
    if not found.exists:
        # It looks the same where the repository's disk is not mounted, and then every record is of a backup.
        return Removal(
            ORPHANS,
            refusals=[
                "The repository has no stanza, so nobody knows which records are without a backup. Look whether its "
                "disk is mounted; otherwise run site.yml, which creates the stanza."
            ],
        )
    return Removal(ORPHANS, records=list(found.orphans), recorded=list(found.unrecorded))


def _all(request: CleanupRequest, found: Holdings) -> Removal:
    labels = [str(backup["label"]) for backup in found.backups]
    refusals = [
        f"{label} {reason}. Wait for the end of that; a pin is taken off with "
        f"cleanup.yml -e pin={label} -e pin_until=now."
        for label, reason in found.needed.items()
        if label in labels
    ]
    if not found.mounted:
        # A stanza would be made on the disk below.
        refusals.append(
            "The repository's directory is empty. Look whether its disk is mounted; otherwise run site.yml, which "
            "creates the stanza."
        )
    if request.confirm != request.stanza:
        given = f"confirm={request.confirm} is not its name. " if request.confirm else ""
        refusals.append(
            f"{given}It removes every backup of {request.whose}, and nothing brings them back. "
            f"Confirm it with -e confirm={request.stanza}."
        )
    return Removal(
        ALL,
        backups=sorted(labels, reverse=True),
        roots=labels,
        records=list(found.orphans or ()),
        backup_bytes=sum(found.sizes.values()),
        wal_bytes=sum(found.wal.values()),
        segments=len(found.wal),
        refusals=refusals,
    )


def describe(request: CleanupRequest, found: Holdings, planned: Removal) -> OperationPlan:
    """What one operation is about to do, for people and programs."""
    affects = _effects(planned)
    expected, risks = _expected(planned, found), _risks(request, planned, found)
    nothing = planned.nothing and not (planned.operation == ALL and not found.exists)
    action = "none" if nothing else planned.operation
    plan = OperationPlan("cleanup", request.stanza, action, _message(request, planned, found), affects, expected, risks)
    for why in planned.refusals:
        plan = plan.refused(why)
    if found.running and planned.operation != ORPHANS:
        plan = plan.refused(f"A backup is running ({found.running}). Run this again when it has ended.")
    return plan


def _message(request: CleanupRequest, planned: Removal, found: Holdings) -> str:
    freed = format_bytes(planned.backup_bytes + planned.wal_bytes)
    newest = plural(request.keep, "full backup")
    what = {
        KEEP: f"keep the newest {newest} and what depends on {'it' if request.keep == 1 else 'them'}",
        RETENTION: f"what the configured retention ({found.retention or 'of pgBackRest'}) no longer keeps goes",
        ORPHANS: "records without a backup go, backups without a record get one",
        ALL: "every backup and all archived WAL go; the stanza stays and is empty",
    }[planned.operation]
    where = f"In repository {request.repository}: " if request.repository else ""
    if planned.operation == ORPHANS:
        return f"{where}{what}."
    return f"{where}{what}; {plural(len(planned.backups), 'backup')} and about {freed}."


def _effects(planned: Removal) -> list[Effect]:
    effects = [Effect(label, "is removed") for label in planned.backups]
    effects += [Effect(label, f"stays: it {reason}") for label, reason in planned.stays.items()]
    if planned.segments:
        effects.append(
            Effect("the archive", f"loses {plural(planned.segments, 'segment')} ({format_bytes(planned.wal_bytes)})")
        )
    effects += [Effect(key, "is removed from the catalog") for key in planned.records]
    effects += [Effect(key, "is recorded in the catalog") for key in planned.recorded]
    return effects


def _expected(planned: Removal, found: Holdings) -> list[str]:
    if planned.operation == ORPHANS:
        return []
    if planned.operation == ALL:
        return ["The next backup.yml makes a full backup. Archiving is proven again before the play ends."]
    left = [backup for backup in found.backups if backup["label"] not in planned.backups]
    return [f"{plural(len(left), 'backup')} stay, {planned.fulls_left} of them full."] if planned.backups else []


def _risks(request: CleanupRequest, planned: Removal, found: Holdings) -> list[str]:
    risks = []
    if planned.operation == ALL and (planned.backups or planned.segments):
        out = f" out of repository {request.repository}" if request.repository else ""
        risks.append(f"Until the next full backup is complete, nothing can be restored{out}.")
    elif planned.backups:
        risks.append("Moments before the oldest backup that stays can no longer be restored.")
    if planned.operation == KEEP and found.retention and planned.backups:
        risks.append(f"The next backup applies the configured retention ({found.retention}) again.")
    if planned.stays:
        risks.append(f"{OTHERS} can still expire what stays here.")
    return risks


def overview(request: CleanupRequest, found: Holdings) -> str:
    """What each operation would do, one below the other: for ``operation=show``."""
    parts = [f"What cleanup.yml would remove from {request.whose}; nothing is removed by looking."]
    which = f" -e repository_number={request.repository}" if request.repository else ""
    for operation in REMOVING:
        keep = request.keep or DEFAULT_KEEP
        one = CleanupRequest(operation, request.stanza, keep, request.stanza, request.repository)
        variables = {KEEP: f" -e keep={keep}", ALL: f" -e confirm={request.stanza}"}.get(operation, "")
        parts.append(f"-e operation={operation}{variables}{which}\n{describe(one, found, removal(one, found)).text}")
    return "\n\n".join(parts)


def describe_show(request: CleanupRequest, found: Holdings) -> OperationPlan:
    """The plan of an operation that only looks: what each of the others would do, line by line."""
    message = "nothing is removed by looking; operation=keep, retention, orphans or all removes."
    lines = [line.strip() for line in overview(request, found).splitlines()[1:]]
    return OperationPlan("cleanup", request.stanza, "none", message, expected=[line for line in lines if line])


def done_text(request: CleanupRequest, planned: Removal) -> str:
    """What was done, for people."""
    if planned.operation == ORPHANS:
        removed, written = plural(len(planned.records), "record"), plural(len(planned.recorded), "record")
        return f"The catalog of {request.whose}: {removed} without a backup removed, {written} written."
    freed = format_bytes(planned.backup_bytes + planned.wal_bytes)
    lines = [f"{request.whose}: {plural(len(planned.backups), 'backup')} removed, about {freed} freed."]
    lines += [f"  {label}" for label in planned.backups]
    lines += [f"  {label} stays: it {reason}." for label, reason in planned.stays.items()]
    if planned.operation == ALL:
        lines.append("The stanza is empty and archives. Make a full backup now: ansible-playbook backup.yml")
    return "\n".join(lines)


def describe_pin(label: str, until: str, stays: bool, stanza: str, changes: bool) -> OperationPlan:
    """What a pin does; ``stays`` is false where it is taken off."""
    word = f"stays until the end of {until} (UTC), with all that it builds on" if stays else "is no longer pinned"
    if not changes:
        return OperationPlan("cleanup", stanza, "none", f"{label} {word}; it is so already.")
    risks = [f"{OTHERS} can still expire it."] if stays else []
    return OperationPlan("cleanup", stanza, "pin", f"{label} {word}.", [Effect(label, word)], [], risks)

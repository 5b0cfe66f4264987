# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations: which playbook each is, which variables it takes, and who may ask for it.

The one place that knows. An operation whose playbook is not installed is not served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

Claim = Literal["role", "backups"]
Kind = Literal["text", "word", "flag", "number"]

#: What a value may be: nothing that Ansible would take for a template, and no line break.
TEXT = r"^[^{}\r\n]*$"
WORD = r"^[A-Za-z0-9_.:@-]*$"
#: Of a number: what AWX's surveys allow for the largest of them, a timeline.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Variable:
    name: str
    kind: Kind
    description: str
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> tuple[Any, Any]:
        """The same for pydantic."""
        if self.kind == "flag":
            return bool | None, Field(None, description=self.description)
        if self.kind == "number":
            return int | None, Field(None, ge=0, le=LARGEST, description=self.description)
        if self.choices:
            return Literal[self.choices] | None, Field(None, description=self.description)
        pattern, longest = (WORD, 200) if self.kind == "word" else (TEXT, 1000)
        return str | None, Field(None, pattern=pattern, max_length=longest, description=self.description)


@dataclass(frozen=True)
class Operation:
    """``destroys``: the variable, and the values of it for which the scope destroy and a confirmation are wanted.

    ``claims``: two operations that claim the same never run at once from here; beyond that the cluster's own operation
    lock decides. ``emergency``: it waits for nobody but another for an emergency, since what holds the claim may hang.
    """

    name: str
    playbook: str
    does: str
    variables: tuple[Variable, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ("role",)
    destroys: tuple[str, tuple[str, ...]] | None = None
    emergency: bool = False

    @property
    def body(self) -> type[BaseModel]:
        fields: Any = {one.name: one.field for one in self.variables}
        return create_model(
            f"{self.name.title().replace('_', '')}Request", __config__=ConfigDict(extra="forbid"), **fields
        )

    def scope(self, values: dict[str, Any]) -> str:
        return "destroy" if self.must_confirm(values) else "operate"

    def must_confirm(self, values: dict[str, Any]) -> bool:
        """Whether the data of the cluster, or its backups, may be lost by it."""
        if self.destroys is None:
            return False
        name, dangerous = self.destroys
        return values.get(name) in dangerous


CANDIDATE = Variable(
    "candidate", "word", "The node that should be primary. If left out, the standby that is furthest ahead."
)
CONFIRM = Variable("confirm", "word", "The name of the cluster's stanza, where data would be lost.")
REPOSITORY = Variable("repository_number", "number", "Which of two repositories. The first one if left out.")
TARGET = (
    Variable("target_type", "word", "What the target is.", ("time", "lsn", "xid", "name", "immediate", "latest")),
    Variable("target", "text", "How far to recover; a time has its zone."),
    Variable("backup", "word", "The label of the backup to restore."),
    Variable("timeline", "number", "The timeline to follow. With 0 that on which the servers were at the target."),
)

OPERATIONS = (
    Operation(
        "switchover",
        "failover.yml",
        "Hands the primary role over to a standby",
        (CANDIDATE,),
    ),
    Operation(
        "failover",
        "failover.yml",
        "Moves the primary role away from the preferred primary, or to a candidate, also in an emergency",
        (
            CANDIDATE,
            Variable("force", "flag", "Go on without proof that the old primary is stopped. Can lose data."),
            Variable("fence_living", "flag", "Take the role from a primary that lives but does not let us in."),
        ),
        emergency=True,
    ),
    Operation("failback", "failback.yml", "Returns the primary role to the preferred primary"),
    Operation("rejoin", "rejoin.yml", "Makes every stray node a standby again"),
    Operation(
        "backups",
        "backup.yml",
        "Takes the backups of a day of the cycle",
        (
            Variable("day", "word", "1 to 6, or auto: the day that is next.", ("auto", "1", "2", "3", "4", "5", "6")),
            Variable("backup_force", "flag", "Back up although the day has been done."),
            Variable("repository_number", "number", "Which of two repositories. Both if left out."),
        ),
        claims=("backups",),
    ),
    Operation(
        "restores",
        "restore.yml",
        "Restores beside the cluster, or in place with to=cluster",
        (
            *TARGET,
            Variable("to", "word", "Where to.", ("beside", "cluster")),
            Variable("read_only", "flag", "Leave what is restored beside the cluster read-only."),
            Variable("remove", "word", "The name of a scratch instance to remove, instead of restoring."),
            REPOSITORY,
            CONFIRM,
        ),
        # It may take hours, in which an emergency must not wait: the cluster's lock decides.
        claims=("backups",),
        destroys=("to", ("cluster",)),
    ),
    Operation(
        "drills",
        "drill.yml",
        "Proves that a backup restores, and measures how long that takes",
        (Variable("backup", "word", "The label of the backup. The newest if left out."), REPOSITORY),
        claims=("backups",),
    ),
    Operation(
        "cleanup",
        "cleanup.yml",
        "Removes backups and orphaned records",
        (
            Variable("operation", "word", "What to remove.", ("show", "keep", "retention", "orphans", "all")),
            Variable("keep", "number", "How many full backups stay, for operation=keep."),
            Variable("pin", "word", "The label of a backup to keep whatever else is removed."),
            Variable("pin_until", "word", "The day until which it is kept, 2026-12-31."),
            REPOSITORY,
            CONFIRM,
        ),
        claims=("backups",),
        destroys=("operation", ("keep", "retention", "orphans", "all")),
    ),
)


@dataclass(frozen=True)
class View:
    """What only looks: its play prints one JSON document. ``last``: the task that may fail after that."""

    name: str
    playbook: str
    fixed: dict[str, Any]
    last: str = ""


STATUS = View("status", "status.yml", {"format": "json"})
# Of two repositories the backups of one that answers are shown; which one does not, the status says.
BACKUPS = View("backups", "catalog.yml", {"view": "json"}, last="Every repository answered")
CHECK = View("check", "catalog_check.yml", {"format": "prometheus"})
DRILL = "drill.yml"


def is_for_emergencies(name: str) -> bool:
    return any(one.emergency for one in OPERATIONS if one.name == name)


def served(playbooks: Path) -> dict[str, Operation]:
    """The operations whose playbook is there, by name."""
    return {one.name: one for one in OPERATIONS if (playbooks / one.playbook).exists()}

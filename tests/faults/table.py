"""The faults that are tried, as data: which play, in which state of the cluster, where in it, and what happens there.

In this order a failover leaves the cluster as the failback after it wants it, so little time goes into the states.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The fault comes first, then the play begins.
START = "start"


@dataclass(frozen=True)
class Case:
    """``at``: START, a moment inside a module (see moments.py), or the name of a task, before or after it (``when``).

    ``fault``: who, and what happens to them (see injections.py); primary and standby are those at the start of the
    play, in an emergency the dead one and the candidate. ``reruns``: how often the play may have to be run again.
    ``rejoin``: the play leaves the old primary down on purpose, so that rejoin.yml belongs to the way back.
    ``given``: the variables of the play, as they are typed after ``-e``.
    """

    play: str
    state: str
    when: str
    at: str
    fault: str
    reruns: int = 1
    rejoin: bool = False
    short: bool = False
    note: str = ""
    given: str = ""

    @property
    def place(self) -> str:
        return f"{self.when} {self.at}" if self.when else self.at

    @property
    def name(self) -> str:
        return f"{self.play}{f' ({self.begin})' if self.begin else ''}: {self.place} / {self.fault}"

    @property
    def begin(self) -> str:
        """The state, and what the play is given."""
        return "; ".join(filter(None, (self.state, self.given)))


AWAY = "after a failover"
DEAD = "primary killed"
DOWN = "old primary down"
WINDOW, REQUESTED = "in the write window", "promotion requested"
SALVAGE, BACKUP = "salvage replaying", "backup under way"
REWIND, COPY = "pg_rewind under way", "base backup under way"
DATA, SCRATCH, DRILLED = "data being replaced", "scratch instance being copied", "drill's copy being made"
EXPIRY = "expiry under way"
TWO = "two full backups"
#: A restore in place that loses no row; a scratch instance; a cleanup that leaves a backup.
IN_PLACE = "to=cluster confirm=main target_type=latest"
BESIDE = "scratch=fault target_type=latest"
KEEP = "operation=keep keep=1"
RESTORED = "Restore, and wait until the target is reached"
HAND_OVER, FOLLOW = "Hand over to", "Make the other nodes follow"
GAP, PROOF = "Close the gap in the archive", "Prove that archiving works"

CASES = [
    # A planned hand-over, away and back by turns.
    Case("failover", "", "after", HAND_OVER, "controller killed"),
    Case("failback", AWAY, "", WINDOW, "controller killed"),
    Case("failover", "", "", WINDOW, "primary killed", rejoin=True, short=True),
    Case("failback", AWAY, "", WINDOW, "standby killed"),
    Case("failover", "", "", WINDOW, "standby paused"),
    Case("failback", AWAY, "", WINDOW, "standby cut off"),
    Case("failover", "", "", WINDOW, "standby server killed"),
    Case("failback", AWAY, "", WINDOW, "repository paused"),
    Case("failover", "", "", WINDOW, "primary cut off"),
    Case("failback", AWAY, "", REQUESTED, "controller killed", short=True),
    Case("failover", "", "", REQUESTED, "primary killed", rejoin=True),
    Case("failback", AWAY, "before", FOLLOW, "standby killed"),
    Case("failover", "", "", REQUESTED, "standby killed", rejoin=True),
    Case("failback", AWAY, "before", HAND_OVER, "repository stopped"),
    Case("failover", "", "before", HAND_OVER, "standby paused"),
    Case("failback", AWAY, "before", HAND_OVER, "primary server killed"),
    Case("failover", "", "before", HAND_OVER, "primary disk full (markers)"),
    Case("failback", AWAY, "", START, "redis stopped"),
    Case("failover", "", "after", HAND_OVER, "primary killed", rejoin=True),
    Case("failback", AWAY, "before", GAP, "repository killed"),
    Case("failover", "", "before", PROOF, "repository disk full (archive)"),
    Case("failback", AWAY, "before", PROOF, "controller killed"),
    Case("failover", "", "before", "Ask the repository", "repository paused"),
    Case("failback", AWAY, "before", PROOF, "primary paused"),
    # An emergency: the primary is dead, with rows that only it has.
    Case("failover", DEAD, "after", "Fence the old primary", "primary started", rejoin=True),
    Case("failover", DEAD, "before", "Promote the candidate", "repository paused", rejoin=True),
    Case("failover", DEAD, "before", "Fence the old primary", "standby server killed", rejoin=True),
    Case("failover", DEAD, "before", "Promote the candidate", "controller killed", rejoin=True),
    Case("failover", DEAD, "", SALVAGE, "controller killed", rejoin=True),
    Case("failover", DEAD, "", SALVAGE, "standby killed", rejoin=True),
    Case("failover", DEAD, "after", "Promote the candidate", "standby server killed", rejoin=True),
    Case("failover", "", "", START, "primary paused", rejoin=True),
    Case("failover", "", "", START, "primary cut off", rejoin=True),
    # The old primary comes home, rewound.
    Case("failback", DOWN, "", REWIND, "controller killed"),
    Case("failback", DOWN, "", REWIND, "standby killed"),
    Case("failback", DOWN, "", REWIND, "primary killed"),
    Case("rejoin", DOWN, "", REWIND, "standby cut off"),
    Case("rejoin", DOWN, "before", FOLLOW, "repository stopped"),
    Case("rejoin", "standby stopped", "before", PROOF, "primary server killed"),
    # A day of the cycle of backups.
    Case("backup", "", "", BACKUP, "controller killed"),
    Case("backup", "", "after", "Make the backup$", "controller killed"),
    Case("backup", "", "", BACKUP, "primary server killed"),
    Case("backup", "", "", BACKUP, "primary killed"),
    Case("backup", "", "", BACKUP, "repository killed", short=True),
    Case("backup", "", "", BACKUP, "repository paused"),
    Case("backup", "", "", BACKUP, "repository cut off"),
    Case("backup", "", "before", "Make the backup$", "standby paused"),
    Case("backup", "", "before", "Make the backup$", "repository disk full (backups)"),
    Case("backup", "", "before", "Make the backup$", "repository disk full (archive)"),
    Case("backup", "", "after", "Make the backup$", "redis stopped"),
    # Provisioning.
    Case("site", "", "after", "Write the server's configuration", "controller killed"),
    Case("site", "", "before", "Wait until Redis answers", "redis killed"),
    Case("site", "", "before", "Create the stanzas", "repository killed"),
    Case("site", "standby lost", "after", "Create the container$", "controller killed"),
    Case("site", "standby lost", "", COPY, "controller killed"),
    Case("site", "standby lost", "", COPY, "primary killed"),
    # Backups that go.
    Case("cleanup", TWO, "before", "Remove what is not kept", "controller killed", given=KEEP),
    Case("cleanup", TWO, "", EXPIRY, "controller killed", given=KEEP),
    Case("cleanup", TWO, "", EXPIRY, "repository killed", given=KEEP),
    Case("cleanup", TWO, "after", "Remove what is not kept", "controller killed", given=KEEP),
    # A backup that is tried.
    Case("drill", "", "", DRILLED, "controller killed"),
    Case("drill", "", "", DRILLED, "repository killed"),
    Case("drill", "", "before", "Keep the result with the backup", "controller killed"),
    Case("drill", "", "before", "Restore the backup, look at it, remove it", "primary killed"),
    Case("drill", "", "before", "Keep the result with the backup", "redis stopped"),
    # A scratch instance.
    Case("restore", "", "", SCRATCH, "controller killed", given=BESIDE),
    Case("restore", "", "", SCRATCH, "repository killed", given=BESIDE),
    Case("restore", "", "after", RESTORED, "controller killed", given=BESIDE),
    # A restore in place. Each keeps the backups before it, so a cleanup after it would have nothing to remove.
    Case(
        "restore",
        "",
        "after",
        "Make a restore point, and wait until it is archived",
        "controller killed",
        given=IN_PLACE,
    ),
    Case("restore", "", "after", "Mark all nodes", "controller killed", given=IN_PLACE),
    Case("restore", "", "", DATA, "controller killed", given=IN_PLACE),
    Case("restore", "", "", DATA, "repository killed", given=IN_PLACE),
    Case("restore", "", "", DATA, "primary killed", given=IN_PLACE),
    Case("restore", "", "after", RESTORED, "controller killed", given=IN_PLACE),
    Case("restore", "", "before", FOLLOW, "standby killed", given=IN_PLACE),
    Case("restore", "", "before", "Make a full backup$", "controller killed", given=IN_PLACE),
    Case("restore", "", "before", "Remove the record", "controller killed", given=IN_PLACE),
]

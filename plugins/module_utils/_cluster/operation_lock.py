# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation for each cluster: which operations exclude one another, and what a refusal says of the holder.

Pure rules; who holds the lock is kept by ``operation_lock_holder``. Why it is so: docs/explanation/operation-lock.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

Need = Literal["shared", "alone"]

#: What each operation works on, and whether others may work on the same thing meanwhile. "role" is who is primary and
#: that the servers stay up; "configuration" is what site.yml writes; "backups" is what the repository holds.
NEEDS: dict[str, dict[str, Need]] = {
    "site": {"role": "shared", "configuration": "alone"},
    # A restart of servers or new containers would break a backup.
    "site_restart": {"role": "alone", "configuration": "alone"},
    # Like site.yml: while a large database is copied, backups go on.
    "add_node": {"role": "shared", "configuration": "alone"},
    # Not the configuration: a backup of hours must not keep anybody from running site.yml.
    "backup": {"role": "shared", "backups": "alone"},
    "failover": {"role": "alone"},
    "failback": {"role": "alone"},
    "rejoin": {"role": "alone"},
    "restore": {"role": "alone", "configuration": "alone", "backups": "alone"},
    # Beside the cluster. The expire at the end of a backup may remove what is being read.
    "restore_beside": {"backups": "alone"},
    "drill": {"backups": "alone"},
    # Its name is noted with the newest backup.
    "restore_point": {"role": "shared", "backups": "alone"},
    "cleanup": {"role": "shared", "configuration": "shared", "backups": "alone"},
    # A backup of hours has read the password of Redis at its beginning, a hand-over logs in from node to node.
    "rotate": {"role": "alone", "configuration": "alone", "backups": "alone"},
    # Removes it all.
    "down": {"role": "alone", "configuration": "alone", "backups": "alone"},
    "remove": {"role": "alone", "configuration": "alone", "backups": "alone"},
    # A backup copies from a standby.
    "remove_node": {"role": "alone", "configuration": "alone", "backups": "alone"},
    # Restarts the server that a backup copies from, and replaces the container of the repository host.
    "upgrade_minor": {"role": "alone", "configuration": "alone", "backups": "alone"},
}
#: What an operation needs that another version of the collection knows and this one does not.
EVERYTHING: dict[str, Need] = {"role": "alone", "configuration": "alone", "backups": "alone"}
#: The playbooks that are not called as their operation is.
PLAYBOOKS = {"site_restart": "site.yml", "restore_beside": "restore.yml"}

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Record:
    """Who holds the lock. Anybody who is refused may read it, so nothing in it is secret.

    ``play`` names one run of ansible-playbook, which is process ``process`` of the host ``controller``; ``job`` is the
    number of its AWX job, or empty; ``since`` is a time in UTC, of the repository host's clock.
    """

    play: str
    operation: str
    clusters: tuple[str, ...]
    requested_by: str
    job: str
    controller: str
    process: int
    since: str = ""

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Record:
        """Keys that another version of the collection wrote are left out; raises KeyError where one is missing."""
        known = {field.name: given[field.name] for field in fields(cls)}
        return cls(**{**known, "clusters": tuple(known["clusters"])})

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "clusters": list(self.clusters)}


def excludes(one: str, other: str) -> bool:
    """Whether two operations on one cluster must not run at the same time."""
    mine, theirs = NEEDS.get(one, EVERYTHING), NEEDS.get(other, EVERYTHING)
    return any("alone" in (mine[thing], theirs[thing]) for thing in mine.keys() & theirs.keys())


def in_the_way(wanted: Record, holders: Iterable[Record]) -> list[Record]:
    """The holders for whose end ``wanted`` has to wait; its own play is none of them."""
    return [
        holder
        for holder in holders
        if holder.play != wanted.play
        and set(holder.clusters) & set(wanted.clusters)
        and excludes(holder.operation, wanted.operation)
    ]


def playbook(operation: str) -> str:
    return PLAYBOOKS.get(operation, f"{operation}.yml")


def describe(holder: Record, now: datetime) -> str:
    """Who, what, where, since when and which job: a sentence without its full stop."""
    job = f" (AWX job {holder.job})" if holder.job else ""
    since = datetime.strptime(holder.since, TIME_FORMAT).replace(tzinfo=UTC)
    clock = f"{since:%H:%M:%S} UTC" if since.date() == now.date() else f"{since:%Y-%m-%d %H:%M:%S} UTC"
    clusters = " and ".join(holder.clusters)
    return (
        f"{playbook(holder.operation)} by {holder.requested_by}{job} has been working on cluster {clusters} "
        f"since {clock} (process {holder.process} on {holder.controller})"
    )


def shown(holder: Record, now: datetime) -> dict[str, Any]:
    """The record with its sentence, as modules return it."""
    return {**holder.as_dict(), "sentence": describe(holder, now)}


def blocked(clusters: Iterable[str], answer: dict[str, Any]) -> dict[str, str]:
    """Of ``clusters`` those that a refusal is about, each with its reason; empty when it is about none of them alone.

    ``answer``: what ``operation_lock_holder`` failed with: ``msg``, and ``holders`` or ``unfinished_restore``.
    """
    found = {}
    unfinished = answer.get("unfinished_restore") or {}
    for cluster in clusters:
        sentences = [holder["sentence"] for holder in answer.get("holders", []) if cluster in holder["clusters"]]
        if sentences:
            found[cluster] = refusal(sentences)
        elif unfinished.get("cluster") == cluster:
            found[cluster] = answer["msg"]
    return found


#: What a refusal says of itself, wherever it comes from.
UNTOUCHED = "Nothing was changed."
BEGUN = "What this play has done until now stands, and is not finished."


def after_changes(sentence: str) -> str:
    """A refusal in a play that has changed something by now, as an emergency has, which promotes before it asks."""
    said = sentence.replace(UNTOUCHED, BEGUN)
    return said if BEGUN in said else f"{said.rstrip('.')}. {BEGUN}"


def refusal(sentences: list[str]) -> str:
    """Why an operation was not begun, and what to do."""
    return (
        f"{'. '.join(sentences)}. {UNTOUCHED} Wait until it has ended, then run this again; "
        "-e wait_for_lock=SECONDS waits for it."
    )

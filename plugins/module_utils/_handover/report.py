# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hand-over says at its end: who accepts writes, what it cost, who follows, and whether backups go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The plan, and the results of the steps that were taken; an empty one is a step that was not.

    ``primary``: who is primary now. ``answering``: the nodes that answer now. ``followers``: the results of
    ``pg_rejoin``, by node. ``archive``: that of ``pg_archive_gap``. ``proved``: whether archiving was proved.
    """

    plan: Result
    primary: str
    nodes: Sequence[str]
    answering: Sequence[str]
    switchover: Result = field(default_factory=dict)
    fence: Result = field(default_factory=dict)
    promotion: Result = field(default_factory=dict)
    followers: Mapping[str, Result] = field(default_factory=dict)
    synchronous: str = ""
    archive: Result = field(default_factory=dict)
    proved: bool = False


def report(outcome: Outcome) -> str:
    """The text; every line after the first is indented."""
    lines = [
        *_switchover(outcome),
        *_promotion(outcome),
        *followers(outcome.followers, outcome.primary),
        *([outcome.synchronous] if outcome.synchronous else []),
        *_left(outcome),
        *_archive(outcome),
    ]
    return "\n".join([str(outcome.plan["message"]), *(f"  {line}" for line in lines)])


_REJOIN = "Run rejoin.yml to bring it back."
#: Such a standby asks the primary for WAL only once it has replayed what it has.
_OWN_PACE = {
    "delayed": (
        " at its own pace: it replays with a delay, on purpose (recovery_min_apply_delay), and was not waited for"
    ),
    "paused": " once its replay goes on, which somebody has paused (SELECT pg_wal_replay_resume() there)",
}


def followers(found: Mapping[str, Result], primary: str) -> list[str]:
    """A line for each standby, with the way in which it was made one, if that was needed."""
    lines = []
    for name, result in found.items():
        if result.get("removed"):
            lines.append(str(result["removed"]))
            continue
        if result.get("cut_off"):
            why = str(result["cut_off"]).removesuffix(f" Nothing was changed; start {primary}.").rstrip(".")
            lines.append(f"{name} is cut off and does not follow {primary}. {why}. Look at the network. {_REJOIN}")
            continue
        method = result.get("method", "unchanged")
        how = "" if method in ("none", "unchanged") else f" ({method})"
        pace = _OWN_PACE.get(result.get("own_pace", ""), "")
        lines.append(f"{name} follows {primary}{how}{pace}.")
    return lines


def _warnings(result: Result) -> list[str]:
    return [f"Warning: {notice}" for notice in result.get("notices") or []]


def _switchover(outcome: Outcome) -> list[str]:
    done = outcome.switchover
    if "window_seconds" not in done:
        return []
    outage = f"{outcome.plan['candidate']} accepts writes (write outage {done['window_seconds']:.3f} s)."
    return [outage, *_warnings(done)]


def _promotion(outcome: Outcome) -> list[str]:
    done = outcome.promotion
    if "primary" not in done:
        return []
    candidate, old = outcome.plan["candidate"], outcome.plan["primary"]
    lines = [f"{candidate} accepts writes, {done['seconds']:.1f} s after it was asked to.", _loss(outcome)]
    if done.get("archived_bytes"):
        lines.append(f"From the archive came {done['archived_bytes']} bytes of WAL that {candidate} had not received.")
    return [*lines, *_warnings(done), _fence(outcome, str(old))]


def _loss(outcome: Outcome) -> str:
    """What became of the WAL that only the old primary had."""
    old, wal, done = outcome.plan["primary"], outcome.fence.get("wal") or {}, outcome.promotion
    if wal.get("newer_timeline"):
        return (
            f"{old} was on the newer timeline {wal['newer_timeline']}. What it wrote there and the archive does not "
            "have is lost; how much is unknown."
        )
    # All that was copied was replayed then, which need not be all that there was.
    if done.get("salvage_complete") and not wal.get("interrupted"):
        return (
            f"The WAL of {old} was read to its end: {done['salvaged_bytes']} bytes that only it had were saved, none "
            "were lost."
        )
    ended = f" ({wal['ended']})" if wal.get("ended") else ""
    return f"The WAL of {old} could not be read to its end{ended}. {outcome.plan['unread']}"


def _fence(outcome: Outcome, old: str) -> str:
    advice = "Run rejoin.yml to bring it back as a standby, or failback.yml to make it primary again."
    if not outcome.fence.get("proved"):
        return f"{old} was not proved to be stopped ({outcome.fence.get('evidence', '')}). Keep it off. {advice}"
    return f"{old} is fenced. {advice}"


def _left(outcome: Outcome) -> list[str]:
    """The nodes that do not answer and are neither the old primary nor the new one."""
    plan = outcome.plan
    involved = {*outcome.answering, plan["candidate"], plan["primary"]}
    what = "stopped, since it might have been promoted unseen" if plan["action"] == "promote" else "left alone"
    return [f"{name} does not answer and was {what}. {_REJOIN}" for name in outcome.nodes if name not in involved]


def _archive(outcome: Outcome) -> list[str]:
    lines = []
    if outcome.archive.get("pushed"):
        pushed = ", ".join(outcome.archive["pushed"])
        lines.append(f"Pushed to the archive in place of {outcome.plan['primary']}: {pushed}.")
    if outcome.archive.get("lost"):
        lost = ", ".join(outcome.archive["lost"])
        lines.append(f"LOST from the archive: {lost}. No restore can pass them, so a full backup was made at once.")
    if outcome.proved:
        lines.append(f"Archiving from {outcome.primary} is proven; backups go on from it.")
    return lines

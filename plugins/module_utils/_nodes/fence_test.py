# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the fence command would work tonight, as far as that can be told without switching anything off.

The fence command itself is never run: nobody can tell from outside what it would do. In its place a second one, which
only asks, goes the same way to the same interface: ``failover_fence_check_command``. It ends what it prints with ``on``
or ``off``, and ends with 0, or ends with another status when it could not find out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STATES = ("on", "off")


@dataclass(frozen=True)
class Asked:
    """What the check command gave for a node: its exit status (None: it did not end, or could not be run), and what it
    printed, or why it gave nothing."""

    status: int | None
    said: str

    @property
    def state(self) -> str:
        """``on``, ``off``, or nothing that we understand."""
        words = self.said.split()
        last = words[-1].lower() if words else ""
        return last if self.status == 0 and last in STATES else ""


@dataclass(frozen=True)
class Finding:
    """One node, or a command. ``problem``: what is wrong, empty where nothing is."""

    about: str
    seen: str
    problem: str = ""

    @property
    def line(self) -> str:
        return f"{'! ' if self.problem else '  '}{self.about}: {self.seen}" + (
            f": {self.problem}" if self.problem else ""
        )


def program_fault(command: Sequence[str], find: Callable[[str], str | None] = shutil.which) -> str:
    """Why a command could not be started by this user from this directory; empty when it could."""
    program = command[0]
    if find(program):
        return ""
    if os.sep in program and Path(program).exists():
        return "it is not an executable file"
    return "there is no such program"


def command_findings(
    fence: Sequence[str], check: Sequence[str], find: Callable[[str], str | None] = shutil.which
) -> list[Finding]:
    """What is to be said of the two commands, before the second is run."""
    found = []
    for name, command in (("failover_fence_command", fence), ("failover_fence_check_command", check)):
        if not command:
            found.append(Finding(name, "is empty", "set it, see examples/fence"))
            continue
        fault = program_fault(command, find)
        found.append(Finding(name, " ".join(command), fault and f"{fault}, for the user of the controller"))
    return found


def node_finding(name: str, answers: bool, asked: Asked) -> Finding:
    """What the check command's answer means for a machine, which itself ``answers`` or not."""
    gave = f"status {asked.status}" if asked.status is not None else "no status"
    seen = f"{gave}, {asked.said or 'no words'}"
    if asked.status != 0:
        return Finding(name, seen, "its state could not be had, so it could not be fenced either")
    if not asked.state:
        return Finding(name, seen, "what it prints must end with on or off")
    if answers and asked.state == "off":
        return Finding(name, seen, "but it answers, so this is about another machine, and that would be switched off")
    return Finding(name, f"{seen}, and it {'answers' if answers else 'does not answer'}")


def findings(
    kinds: Mapping[str, str], answering: Sequence[str], commands: Sequence[Finding], asked: Mapping[str, Asked]
) -> list[Finding]:
    """All of it; ``kinds``: by node, ``docker`` for those whose engine fences them, which need no command."""
    found = [] if set(kinds.values()) == {"docker"} else list(commands)
    for name, kind in kinds.items():
        if kind == "docker":
            found.append(Finding(name, "a container, which its engine fences"))
        elif name in asked:
            found.append(node_finding(name, name in answering, asked[name]))
    return found

"""Plays that hold an operation lock, and what the repository host says of it."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from cluster import INVENTORY, REPOSITORY, shell, wait_until
from holding import Controller

DIRECTORY = "/run/relevo/operation-lock"
TITLE = "relevo-lock"
# What the kernel says, not what a file says: of each record that somebody keeps locked.
LIVING = f"""
import fcntl, glob, json
for path in glob.glob("{DIRECTORY}/*.json"):
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            print(file.read())
"""


def holders() -> list[dict[str, Any]]:
    """The records that count."""
    return [json.loads(line) for line in shell(REPOSITORY, "python3", "-c", LIVING).splitlines()]


def operations() -> list[str]:
    return sorted(holder["operation"] for holder in holders())


def wait_for_operation(operation: str) -> dict[str, Any]:
    """Wait until a play holds the lock for an operation; returns its record."""
    wait_until(lambda: operation in operations(), f"{operation} to hold the operation lock", 90)
    return next(holder for holder in holders() if holder["operation"] == operation)


def holder_process() -> str:
    """The number, inside the repository host, of the one process that holds the lock."""
    return shell(REPOSITORY, "pgrep", "-x", TITLE).strip()


def keepers(playbook: str) -> list[int]:
    """The processes on the controller that keep the lock for a playbook that works on this cluster."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().decode().split("\0")
            # A play of another cluster on this machine has the same name.
            ours = playbook in arguments and str(INVENTORY) in arguments
            if ours and (entry / "comm").read_text().strip() == TITLE:
                found.append(int(entry.name))
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            continue
    return found


def kill_keepers(playbook: str) -> None:
    found = keepers(playbook)
    assert found, f"nobody keeps the lock for {playbook}"
    for number in found:
        os.kill(number, signal.SIGKILL)


def wait_until_free(timeout: float) -> None:
    wait_until(lambda: holders() == [], "the operation lock to be free", timeout)


def holder_named(text: str, playbook: str, who: str = r"\S+@\S+") -> bool:
    """Whether a play's output says who (a pattern) holds the lock, since when, and where."""
    sentence = (
        rf"{playbook} by {who} has been working on cluster main since \d\d:\d\d:\d\d UTC \(process \d+ on \S+\)\. "
        r"Nothing was changed\. Wait until it has ended, then run this again; -e wait_for_lock=SECONDS waits for it\."
    )
    return re.search(sentence, text) is not None


def killed_with_all(controller: Controller, playbook: str) -> None:
    """As a power cut of the controller: the play, its children, and the keeper."""
    kill_keepers(playbook)
    controller.kill()


def stop_play(record: dict[str, Any], number: int) -> None:
    """Send a signal to the process of ansible-playbook itself."""
    os.kill(int(record["process"]), number)

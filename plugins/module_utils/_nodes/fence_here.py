# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence of a machine that answers, as a program that runs on it.

One call does all, since each costs a connection: it stops the server for good, proves that, leaves the marker, and
returns the WAL that the candidate may lack. Called again, it changes nothing and returns the WAL that follows.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict
from typing import Any

from .._errors import RelevoError
from .._server.service import service_for
from .local_node import LocalNode
from .offline_node import (
    SALVAGE_DIRECTORY,
    FileStream,
    Node,
    WalCopy,
    WalRange,
    copy_wal,
    ensure_marker,
    newer_timeline,
)

#: As much of the WAL as an answer holds: 64 MB with segments of 16.
SEGMENTS_AT_ONCE = 4


class Collected:
    """What is written to it, packed for an answer, by the file's path."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def write_file(self, path: str, stream: FileStream) -> None:
        self.files[path] = pack(b"".join(stream.chunks))


def pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def unpack(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def fence(node: LocalNode, question: dict[str, Any]) -> dict[str, Any]:
    """``question``: ``marker`` (its text), ``timeline`` (that the promotion ends), ``spare_living``, ``run_id`` and
    ``salvage_from`` (empty: no WAL). Returns what ``Fenced`` says, ``lives``, and of the WAL ``wal`` and ``files``."""
    if question["spare_living"] and node.lives():
        return {"lives": True}
    try:
        changed = node.fence()
    except RelevoError as error:
        return {"proved": False, "evidence": error.message.rstrip("."), "changed": True}
    marked, newer = False, 0
    # On a disk that is not the data's the marker would be found by nobody.
    if node.has_data():
        changed |= ensure_marker(node, question["marker"])
        marked, newer = True, newer_timeline(node, question["timeline"])
    proof = node.prove_stopped()
    if marked and not proof.proved:
        # Somebody started it before the marker was there.
        node.fence()
        proof = node.prove_stopped()
    answer = {"proved": proof.proved, "evidence": proof.evidence, "changed": changed}
    answer |= {"marked": marked, "newer_timeline": newer}
    if proof.proved and marked and question["salvage_from"]:
        answer |= salvage(node, question["run_id"], question["salvage_from"], newer)
    return answer


def salvage(node: Node, run_id: str, first: str, newer: int) -> dict[str, Any]:
    """What the disk gives. One that fails ends it, and not the emergency. ``newer``: a timeline that it is known to
    have."""
    collected = Collected()
    try:
        done = copy_wal(node, collected, run_id, WalRange(first=first, limit=SEGMENTS_AT_ONCE))
    except RelevoError as error:
        done = WalCopy(f"{SALVAGE_DIRECTORY}/{run_id}", ended=error.message.rstrip("."), interrupted=True)
        done.newer_timeline = newer
    return {"wal": asdict(done), "files": collected.files}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program. ``question``: as ``fence``'s, and the ``node`` with its ``service_manager``."""
    return fence(LocalNode(question["node"], service_for(question["service_manager"])), question)

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of its own for each play, so that it outlives the API.

``python -m relevo_api.play_process SETTINGS DIR CLAIM…``; ``DIR/request.json`` says what to run. The process writes
``events.jsonl``, ``log.txt`` and ``state.json`` while it runs, and ``outcome.json`` at the end; for a job it also has
the claims of its cluster, as the numbers of open files, which the kernel gives back when it ends, in whatever way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from . import audit, events
from .files import append_line, read_json, write_json
from .plays import BackendError, LostSightError, Request, backend_of
from .settings import Settings


def secrets_below(directory: str) -> list[str]:
    """The words of the cluster's secrets, which are files of one line each."""
    if not directory or not Path(directory).is_dir():
        return []
    return [path.read_text(encoding="utf-8").strip() for path in Path(directory).iterdir() if path.is_file()]


def secrets_given(path: Path) -> list[str]:
    """The words of the secrets that are variables, which are no files of theirs."""
    return [str(word) for word in read_json(path)] if path.exists() else []


class PlayProcess:
    """Runs one play and keeps its story in its directory."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.reading = events.Reading()
        self.scrubber = events.Scrubber(
            [*secrets_below(settings.secrets_directory), *secrets_given(settings.given_secrets_file)]
        )
        self.count = 0
        self.backend_name = ""

    def run(self) -> dict[str, Any]:
        request = Request(**read_json(self.directory / "request.json"))
        try:
            ended_well = backend_of(self.settings, self.directory).run(request, self.take, self.started)
        except BackendError as error:
            # What may still run is not something that was refused.
            self.reading.admitted |= isinstance(error, LostSightError)
            self.reading.failures.append(events.Failure(str(error), "backend"))
            self.show("failed", str(error))
            ended_well = False
        outcome = self._outcome(ended_well)
        self.show("state", "succeeded" if ended_well else "failed")
        return outcome

    def started(self, name: str) -> None:
        self.backend_name = name
        self._write_state()

    def take(self, raw: Any) -> None:
        """One event of the play."""
        before = self.reading.admitted
        if text := events.printed(raw):
            append_line(self.directory / "log.txt", self.scrubber.clean(text))
        shown = self.reading.take(raw)
        if shown:
            self.show(*shown)
        if self.reading.admitted and not before:
            self._write_state()

    def show(self, kind: events.EventKind, text: str, host: str = "") -> None:
        self.count += 1
        event = events.Event(self.count, kind, events.now(), self.scrubber.clean(text), host)
        append_line(self.directory / "events.jsonl", json.dumps(event.as_dict(), ensure_ascii=False))

    def _write_state(self) -> None:
        write_json(
            self.directory / "state.json",
            {"admitted": self.reading.admitted, "backend": self.backend_name, "process": os.getpid()},
        )

    def _outcome(self, ended_well: bool) -> dict[str, Any]:
        failure = None if ended_well else self.reading.failure
        outcome = {
            "succeeded": ended_well,
            "admitted": self.reading.admitted,
            "ended": events.now(),
            "text": self.reading.text,
            "document": self.reading.document,
            "failure": failure
            and {
                "sentence": " ".join(failure.sentence.split()),
                "task": failure.task,
                "holders": failure.holders,
                "unreachable": failure.unreachable,
            },
        }
        cleaned: dict[str, Any] = self.scrubber.clean_all(outcome)
        return cleaned


def note_the_end(settings: Settings, directory: Path, outcome: dict[str, Any]) -> None:
    """A job is a change, and each change has its line."""
    if not (directory / "job.json").exists():
        return
    job = read_json(directory / "job.json")
    failure = outcome["failure"]
    audit.note(
        settings.audit_file,
        who=job["requested_by"],
        address=job["address"],
        what=job["operation"],
        cluster=job["cluster"],
        job=job["id"],
        result="succeeded" if outcome["succeeded"] else "failed",
        variables=job["variables"],
        **({"sentence": failure["sentence"]} if failure else {}),
    )


def main() -> int:
    # Whoever ends the API does not mean its jobs.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings, directory = Settings.read(Path(sys.argv[1])), Path(sys.argv[2])
    try:
        outcome = PlayProcess(settings, directory).run()
    except Exception:
        # Nobody waits for this process: what it did not foresee has to be found in its directory.
        append_line(directory / "traceback.txt", traceback.format_exc())
        raise
    note_the_end(settings, directory, outcome)
    # Whoever sees the end must find the cluster free, and not wait for this process to put its things away.
    for number in sys.argv[3:]:
        os.close(int(number))
    write_json(directory / "outcome.json", outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play says while it runs: the events of ansible-runner, which AWX passes on in the same form.

Only what is meant for people is kept. The results of tasks stay behind, for they may hold anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

EventKind = Literal["task", "output", "failed", "state"]
LOCK_ACTION = "operation_lock"
REPORT_ACTION = "report"
FAILED = ("runner_on_failed", "runner_on_unreachable")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: "failover.yml -e candidate=b -e force=true", as the sentences of the plays write it.
COMMAND = re.compile(r"\b([a-z_]+\.yml)((?:\s+-e\s+[a-z_]+=[^\s,;.]+)*)")


@dataclass(frozen=True)
class Event:
    """One event as clients get it; ``id`` counts up from 1."""

    id: int
    kind: EventKind
    at: str
    text: str
    host: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, "at": self.at, "text": self.text, "host": self.host}


@dataclass(frozen=True)
class Failure:
    """Why a play failed. ``holders``: those who hold the operation lock, where that is why."""

    sentence: str
    task: str
    holders: list[dict[str, Any]] = field(default_factory=list)
    unreachable: bool = False


@dataclass
class Reading:
    """What is known of a play from its events so far.

    ``admitted``: it has passed its checks and the lock, or changes something. ``document``: the JSON that it printed
    last; ``text``: the text; ``said``: its last line.
    """

    admitted: bool = False
    document: Any = None
    text: str = ""
    said: str = ""
    failures: list[Failure] = field(default_factory=list)

    def take(self, raw: Mapping[str, Any]) -> tuple[EventKind, str, str] | None:
        """Read one event; returns kind, text and host of what is to be shown, or None."""
        data = raw.get("event_data") or {}
        kind = str(raw.get("event", ""))
        task, host = str(data.get("task") or ""), str(data.get("host") or "")
        action = str(data.get("resolved_action") or data.get("task_action") or "").rpartition(".")[2]
        result = data.get("res") if isinstance(data.get("res"), Mapping) else {}
        if kind == "runner_on_ok":
            self._take_result(action, result or {})
        if kind in FAILED and not data.get("ignore_errors"):
            failure = failure_of(task, result or {}, kind == "runner_on_unreachable")
            self.failures.append(failure)
            return "failed", failure.sentence, host
        if kind == "playbook_on_task_start":
            return "task", str(data.get("name") or task), ""
        shown = printed(raw)
        if not shown.strip():
            return None
        self.said = shown
        return "output", shown, host

    def _take_result(self, action: str, result: Mapping[str, Any]) -> None:
        if action == LOCK_ACTION or result.get("changed"):
            self.admitted = True
        if action == REPORT_ACTION:
            self.text = str(result.get("text") or "")
            self.document = result.get("data", as_document(self.text))

    @property
    def failure(self) -> Failure:
        """The last one: those before it may have been rescued. Without one the play did not even begin."""
        if self.failures:
            return self.failures[-1]
        return Failure(f"The play did not begin: {self.said.strip() or 'it said nothing'}", "")


def printed(raw: Mapping[str, Any]) -> str:
    """What the play printed with an event, as at a terminal without colours."""
    return COLOUR.sub("", str(raw.get("stdout") or "")).strip("\r\n").replace("\r\n", "\n")


def as_document(text: str) -> Any:
    """A text that is JSON, as what it says; otherwise None."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def failure_of(task: str, result: Mapping[str, Any], unreachable: bool) -> Failure:
    """The failure of a task; that of its first failed item where it was a loop."""
    items: Iterable[Any] = result.get("results") or []
    failed = next((one for one in items if isinstance(one, Mapping) and one.get("failed")), None)
    told = failed or result
    said = str(told.get("msg") or told.get("stderr") or "It failed without a word.").strip()
    holders = [dict(one) for one in told.get("holders") or [] if isinstance(one, Mapping)]
    return Failure(said, task, holders, unreachable)


def command_in(sentence: str, cluster: str = "") -> str:
    """What to type, by the first playbook that a sentence names; otherwise how to see what is wrong."""
    found = COMMAND.search(sentence)
    playbook, variables = (found[1], found[2]) if found else ("status.yml", "")
    if cluster and " cluster=" not in variables:
        variables = f" -e cluster={cluster}{variables}"
    return " ".join(f"ansible-playbook playbooks/{playbook}{variables}".split())


def parts_of(sentence: str) -> tuple[str, str]:
    """What was found, and what is wanted: our sentences say between them that nothing was touched."""
    found = re.search(r"\s*Nothing (?:else )?was (?:touched|changed)\.\s*", sentence)
    if not found or not found.start():
        return sentence, ""
    return sentence[: found.start()], sentence[found.end() :]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Scrubber:
    """Removes the cluster's secrets from a text. The plays do not print them; this is for the day when one does."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # A short word would hide ordinary text.
        words = sorted({word for word in secrets if len(word) >= 8}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words))) if words else None

    def clean(self, text: str) -> str:
        return self._pattern.sub("********", text) if self._pattern else text

    def clean_all(self, value: Any) -> Any:
        """The same for whatever JSON can hold."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {key: self.clean_all(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.clean_all(one) for one in value]
        return value

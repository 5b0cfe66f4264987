# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say again, at the end, why hosts failed whose sentence has scrolled away."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failures
type: aggregate
short_description: Say at the end why hosts failed
version_added: 0.1.0
description:
  - A play goes on with the hosts that did not fail, so the sentence of one that did is printed in the middle of what
    the others print. After the recap this repeats those sentences.
  - Says it, too, of the clusters that M(relevo.postgres.clusters_left_out) has left out, where no failure does.
  - One after which nothing more was done is not repeated, since nobody can overlook it.
author: The Relevo authors (@relevo)
requirements:
  - Named in C(callbacks_enabled) in ansible.cfg, as the collection's own C(ansible.cfg) does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display

from ansible_collections.relevo.postgres.plugins.plugin_utils._failed_task import sentence_of
from ansible_collections.relevo.postgres.plugins.plugin_utils._output import speaks_json

display = Display()


@dataclass(frozen=True)
class Failure:
    """``after``: how many tasks of all hosts had been begun by then."""

    task: str
    sentence: str
    after: int


def repeated(failures: Mapping[str, Failure], begun: int) -> list[str]:
    """A line for each failure after which there was more to come; ``begun``: how many tasks were begun in all.

    Hosts that failed by the same task with the same words have one line together.
    """
    if all(failure.after == begun for failure in failures.values()):
        return []
    hosts: dict[str, list[str]] = {}
    for host, failure in failures.items():
        hosts.setdefault(f"{failure.task}: {failure.sentence}", []).append(host)
    return [f"{', '.join(names)}: {said}" for said, names in hosts.items()]


def unsaid(left_out: Mapping[str, str], failures: Mapping[str, Failure]) -> list[str]:
    """A line for each cluster that was left out, where a play has ended before it could say so."""
    said = [failure.sentence for failure in failures.values()]
    reasons = {cluster: " ".join(why.split()) for cluster, why in left_out.items()}
    missing = {cluster: why for cluster, why in reasons.items() if not any(why in sentence for sentence in said)}
    return [f"{cluster}: left out: {why}" for cluster, why in missing.items()]


class CallbackModule(CallbackBase):
    """Keeps the last failure of each host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "relevo.postgres.failures"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, Failure] = {}
        self._left_out: dict[str, str] = {}
        self._begun = 0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        del task, is_conditional
        self._begun += 1

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        del task
        self._begun += 1

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action == "relevo.postgres.clusters_left_out":
            self._left_out = result.result["left_out"]

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._keep(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._keep(result)

    def _keep(self, result: Any) -> None:
        failure = Failure(result.task_name, sentence_of(result.result), self._begun)
        self._failures[result.host.get_name()] = failure

    def v2_playbook_on_stats(self, stats: Any) -> None:
        # One that was rescued is not counted there.
        failed = {host: one for host, one in self._failures.items() if host in stats.failures or host in stats.dark}
        # With another callback the output may be one document.
        lines = [] if speaks_json() else repeated(failed, self._begun) + unsaid(self._left_out, failed)
        if lines:
            display.display(f"\nWHAT FAILED {'*' * 68}")
            for line in lines:
                display.display(line, color="red")

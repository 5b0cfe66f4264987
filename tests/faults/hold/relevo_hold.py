"""A callback of Ansible that holds a play before or after a task, until the test lets it go on.

Watching the output would inject the fault somewhere around the task; holding the controller injects it exactly there.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: relevo_hold
type: aggregate
short_description: Holds a play at a task, for the tests of faults
description: Set by the environment, since only the tests of faults use it.
"""
HELD_FOR = 120.0


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "relevo_hold"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.task = re.compile(os.environ["RELEVO_HOLD_TASK"])
        self.after = os.environ["RELEVO_HOLD_WHEN"] == "after"
        self.folder = Path(os.environ["RELEVO_HOLD_FOLDER"])
        self.seen = self.done = False

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self.seen:
            self._hold()
        elif self.task.search(task.get_name()):
            self.seen = True
            if not self.after:
                self._hold()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if self.seen:
            self._hold()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self.seen:
            self._hold()

    def _hold(self) -> None:
        if self.done:
            return
        self.done = True
        (self.folder / "held").touch()
        deadline = time.monotonic() + HELD_FOR
        while not (self.folder / "go").exists():
            if time.monotonic() > deadline:
                raise AnsibleError(f"The test has held the play for {HELD_FOR:g} s and not let it go on.")
            time.sleep(0.02)

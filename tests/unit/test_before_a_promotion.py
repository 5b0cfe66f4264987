# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between the command and the promotion of an emergency: each task costs time without writes.

One that is passed over costs as much, and so does the validation of a role's arguments.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.action.inventory_check import ActionModule as InventoryCheck

ROOT = Path(__file__).resolve().parents[2]
PROMOTION = "relevo.postgres.handover : Promote the candidate"


def tasks_of(playbook: str) -> list[str]:
    """As Ansible itself lists what it would do, which includes nothing that it decides on its way."""
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "--list-tasks", f"playbooks/{playbook}"]
    done = subprocess.run(
        command,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return re.findall(r"^      (.*?)\t", done.stdout, re.MULTILINE)


def test_an_emergency_has_no_task_too_many() -> None:
    tasks = tasks_of("failover.yml")
    assert tasks[: tasks.index(PROMOTION) + 1] == [
        "relevo.postgres.inventory_check : The inventory describes clusters, and it is clear which are meant",
        "relevo.postgres.handover : Find out who answers",
        "relevo.postgres.handover : Ask the servers who is primary, and plan",
        "relevo.postgres.handover : Fence the old primary, prove that it is stopped, and take its last WAL",
        PROMOTION,
    ]


@pytest.mark.parametrize("role", ["inventory_check", "failover"])
def test_what_no_role_validates_there_is_named(role: str) -> None:
    """The playbook gives each option in the right type, or a task validates it before anything is done."""
    given = yaml.safe_load((ROOT / "playbooks" / "failover.yml").read_text())[0]["tasks"]
    spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    options = set(spec["argument_specs"]["main"]["options"])
    of_the_playbook = {name for task in given for name in task["vars"]}
    of_inventory_check = {f"inventory_check_{name}" for name in InventoryCheck.SPEC["argument_spec"]}
    of_other_entries = {f"inventory_check_{name}" for name in ("leave_out", "refused", "refusal", "together")}
    of_the_plan = {"failover_fence_command"}
    # Run by fence_test.yml only, where the role validates it.
    of_the_test = {"failover_fence_check_command"}
    assert options <= of_the_playbook | of_inventory_check | of_other_entries | of_the_plan | of_the_test

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever asks for a plan of removing a scratch instance gets one, and the instance stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def play_of(instances: Path) -> str:
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [
                {
                    "ansible.builtin.import_role": {"name": "relevo.postgres.restore", "tasks_from": "remove"},
                    "vars": {
                        "restore_cluster": "main",
                        "restore_remove": "drafts",
                        "restore_directory": str(instances),
                        "restore_host": "localhost",
                        "__restore_reached": {"repository": "localhost"},
                    },
                }
            ],
        }
    ]
    return json.dumps(plays)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("-e", "restore_show_plan=json"), '"action": "remove"'),
        (("--check",), "Plan of restore for main: the scratch instance drafts is stopped"),
    ],
)
def test_a_plan_removes_nothing(tmp_path: Path, asked: tuple[str, ...], said: str) -> None:
    home = tmp_path / "scratch" / "drafts"
    home.mkdir(parents=True)
    note = {"cluster": "main", "port": 5600, "backup": "a", "request": {}, "made": "2026-11-26T12:00:00+00:00"}
    (home / "instance.json").write_text(json.dumps(note))
    playbook = tmp_path / "play.yml"
    playbook.write_text(play_of(home.parent))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", playbook, *asked],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
    # The lock comes after it, for those who mean it.
    assert "TASK [restore : Be the only one" not in done.stdout
    assert (home / "instance.json").exists()

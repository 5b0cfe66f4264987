# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers of a play need is loaded before they are forked, so that none of them loads it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: In a process of its own: this one has loaded much already.
PROGRAM = """
import sys
from ansible.plugins.loader import filter_loader, init_plugin_loader
init_plugin_loader([sys.argv[1]])
hosts = filter_loader.get("relevo.postgres.whole_play")
before = set(sys.modules)
assert hosts._function("localhost") == "localhost"
print("\\n".join(set(sys.modules) - before))
"""


def loaded_first() -> list[str]:
    """What is loaded in the process that the workers are forked from."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT / "collections")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_what_chooses_the_hosts_of_a_play_loads_what_its_workers_need() -> None:
    loaded = loaded_first()
    for needed in ("plugins.connection.docker_api", "plugins.connection.ssh", "plugins.action.normal"):
        assert [name for name in loaded if name.endswith(needed)], needed


def test_the_filters_that_are_loaded_with_it_load_little() -> None:
    """Ansible loads all filters of a collection where one is asked for, and an emergency begins with one."""
    ours = {name.partition("module_utils.")[2] for name in loaded_first() if "relevo" in name}
    assert ours <= {"", "_errors", "_names", "_server", "_server.sender_limit"}


def test_each_playbook_chooses_its_hosts_by_it() -> None:
    # up.yml imports others.
    without = [path.name for path in (ROOT / "playbooks").glob("*.yml") if "whole_play" not in path.read_text()]
    assert without == ["up.yml"]

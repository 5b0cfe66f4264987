# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of nodes decides: the first that answers is asked about all others.

Ansible's filters of set theory give back a set's order, another one in each run.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SET_FILTER = re.compile(r"\| *(difference|intersect|symmetric_difference)\b")


def test_no_role_takes_a_list_through_a_set() -> None:
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.*") if path.suffix != ".md"]
    assert len(files) > 50
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(files)
        if path.suffix in (".yml", ".j2")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SET_FILTER.search(line)
    ]
    assert found == [], "use reject('in', ...) or select('in', ...)"

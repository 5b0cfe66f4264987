# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates read nothing of a result by a name that every dict has itself: ``found.keys`` is a method of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for folder in ("roles", "playbooks")
    for suffix in ("yml", "j2")
    for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))
]
METHODS = [name for name in dir(dict) if not name.startswith("_")]
#: Behind a word or a bracket, and not called.
READ = re.compile(rf"[\w\])]\.({'|'.join(METHODS)})\b(?!\(|\.\w)")
EXPRESSION = re.compile(
    r"\{\{.*?\}\}|\{%.*?%\}|^\s*(?:when|that|until|failed_when|changed_when|- )[^#\n]*$", re.M | re.S
)


def read_in(text: str) -> list[str]:
    return [found[0] for expression in EXPRESSION.findall(text) for found in READ.finditer(expression)]


def test_it_is_found() -> None:
    assert read_in('x: "{{ planned.keys }}"\n  when: found.items | length > 0\n') == ["d.keys", "d.items"]
    assert read_in('x: "{{ planned[\'keys\'] }}"\nloop: "{{ found.keys() | list }}"\n') == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_key_has_the_name_of_a_method(path: Path) -> None:
    assert read_in(path.read_text()) == []

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages in Spanish show the same commands, variables and output as those in English; only the prose differs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Each page in Spanish, and the one in English that it follows.
PAGES = {f"docs/es/{path.name}": f"docs/{path.name}" for path in sorted((ROOT / "docs" / "es").glob("*.md"))}


def blocks(text: str) -> list[str]:
    """The lines of all blocks of code, without their comments, which are prose."""
    lines = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    code = (re.sub(r"(^|\s+)# .*$", "", line) for block in lines for line in block.splitlines())
    return [line for line in code if line.strip()]


def spans(text: str) -> Counter[str]:
    """What stands between backticks outside the blocks: commands, variables, values, messages."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return Counter(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_there_are_pages() -> None:
    assert set(PAGES) == {"docs/es/migrating.md", "docs/es/runbook.md", "docs/es/tutorial.md"}


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_are_the_same(page: str) -> None:
    assert blocks(read(page)) == blocks(read(PAGES[page]))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_and_names_are_the_same(page: str) -> None:
    assert set(spans(read(page))) == set(spans(read(PAGES[page])))


@pytest.mark.parametrize("page", PAGES)
def test_they_lead_to_one_another(page: str) -> None:
    assert f"(../{Path(page).name})" in read(page)
    assert f"(es/{Path(page).name})" in read(PAGES[page])


def test_the_readme_shows_nothing_that_the_english_one_does_not() -> None:
    english = read("README.md")
    assert set(blocks(read("README.es.md"))) <= set(blocks(english))
    assert set(spans(read("README.es.md"))) <= set(spans(english))


def test_the_readme_has_every_command_of_the_day() -> None:
    def commands(text: str) -> list[list[str]]:
        return [
            re.findall(r"`([^`]+)`", row)
            for row in re.findall(r"^\| .* \| (.*`(?:ansible-playbook|make) .*) \|$", text, re.M)
        ]

    english = commands(read("README.md"))
    assert english
    assert commands(read("README.es.md")) == english


def test_the_readmes_lead_to_one_another() -> None:
    assert "(README.md)" in read("README.es.md")
    assert "(README.es.md)" in read("README.md")


def test_a_command_that_differs_is_noticed() -> None:
    """The checks above can fail."""
    assert blocks("```\na -e b=1   # prose\n```\n") == blocks("```\na -e b=1   # prosa\n```\n")
    assert blocks("```\na -e b=1\n```\n") != blocks("```\na -e b=2\n```\n")
    assert spans("`x`, ```\n`y`\n```") != spans("`z`")

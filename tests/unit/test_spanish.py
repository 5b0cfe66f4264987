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


def sections(text: str) -> list[tuple[int, Counter[str], list[int]]]:
    """Of each section: how deep its heading is, what it has between backticks, and the cells of its tables' rows."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^(#+) .*$", prose, flags=re.MULTILINE)
    return [
        (len(depth), spans(part), [row.count("|") for row in re.findall(r"^\|.*$", part, re.MULTILINE)])
        for depth, part in zip(parts[1::2], parts[2::2], strict=True)
    ]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_there_are_pages() -> None:
    assert set(PAGES) == {"docs/es/migrating.md", "docs/es/runbook.md", "docs/es/tutorial.md"}


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_are_the_same(page: str) -> None:
    assert blocks(read(page)) == blocks(read(PAGES[page]))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_and_names_are_the_same(page: str) -> None:
    """As often, and in the same section: a sentence or a row that was left out takes its names along."""
    spanish, english = sections(read(page)), sections(read(PAGES[page]))
    assert len(spanish) == len(english)
    for mine, theirs in zip(spanish, english, strict=True):
        assert mine == theirs


@pytest.mark.parametrize("page", PAGES)
def test_they_lead_to_one_another(page: str) -> None:
    assert f"(../{Path(page).name})" in read(page)
    assert f"(es/{Path(page).name})" in read(PAGES[page])


#: What only the English README shows: an output, and what is for those who work on the collection.
ONLY_IN_ENGLISH = {
    "status.yml", "[ERROR]", ".github/workflows/ci.yml", "make test", "make bench", "make faults",
    "ansible-test sanity",
}  # fmt: skip


def test_the_readmes_show_the_same() -> None:
    spanish, english = read("README.es.md"), read("README.md")
    assert set(blocks(spanish)) <= set(blocks(english))
    command = re.compile(r"(ansible|make|git|pip|cd|curl|python) ?")
    assert {line for line in blocks(english) if command.match(line)} <= set(blocks(spanish))
    assert set(spans(english)) - set(spans(spanish)) == ONLY_IN_ENGLISH
    assert set(spans(spanish)) <= set(spans(english))


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
    assert sections("# a\n`x`\n`x`\n# b\n") != sections("# a\n`x`\n# b\n")
    assert sections("# a\n`x`\n# b\n") != sections("# a\n# b\n`x`\n")
    assert sections("# a\n| b |\n") != sections("# a\n| b | c |\n")

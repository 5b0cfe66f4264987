# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain, idiomatic English: the worst of what was written before does not come back. See CONTRIBUTING.md, "Words"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Where the phrases are looked for: files, or folders with all their texts.
ROOTS = (
    "ARCHITECTURE.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "changelogs/fragments",
    "docs",
    "examples",
    "playbooks",
    "plugins",
    "roles",
    "tests",
)
SUFFIXES = {".j2", ".md", ".py", ".sh", ".sql", ".txt", ".yaml", ".yml"}
# This list, and the table of it for people.
QUOTING = {"tests/unit/test_words.py"}

# A phrase as a regular expression, and what to write. A line may end where a space is.
PHRASES = {
    r"in vain\b": "timed out after 10 s waiting for X",
    r"(?<!there\s)\bis no (standby|primary|container|witness|node|replica|answer)\b": "is not a standby",
    r"\bare no (standbys|containers|answers|nodes)\b": "are not standbys",
    r"\bwhich is none\b|\bthat is (?-i:none)\b|\bwhere it is none\b": "that does not exist, that is not one",
    r"\bnone were taken\b": "accepts writes (write outage 0.158 s)",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bknow(s)? (more|most|less) than\b|\bknows most\b|\bknows more\b": "is ahead of, is furthest ahead",
    r"\bheir\b": "descends from",
    r"\bruler\b|\brules already\b": "is primary",
    r"\bhow far it (came|is come)\b": "it is not known how far it got",
    r"\bthe work there was killed\b": "the process there was killed",
    r"\blets? it up\b": "allows it to start",
    r"\byour word that\b": "confirms that you have",
    r"\bat the begin of\b": "at the start of",
    r"\bfor want of\b": "because there is no",
    r"\bgoes on with what was left\b": "resumes",
    r"\bfor a sign of life\b": "ping",
    r"\bthe last word\b": "they override all others",
    r"\bwhoever is primary\b": "the current primary",
    r"\bis made of whoever\b|\bbackup(s)? (is|are) made of\b": "is taken from",
    r"\ba (file|task|line|role|play) a (secret|weekday|file|backup|day|play|node)\b": "one file per secret",
    r"\bone (file|task|line|role|play) a (secret|weekday|file|backup|day|play|node)\b": "one file per secret",
    r"\bbring every stray node home\b": "rejoin the nodes that do not replicate",
    r"\bstands in the\b|\bstand in the\b": "is stored in",
    r"\bnothing of it\b": "none of it",
    r"\bshall\b": "should",
    r"[,;(] ?else (the|a|an|it|only|no|nothing|changes|by|uses|fails)\b": "otherwise",
    r"(^|[-.;:|] +)(?-i:Else)\b(?! *:)": "otherwise",
}


# Names of before, which meant nothing to a DBA or meant two things, and what each is now.
FORMER_NAMES = {
    "backup_cycle_by": "backup_cycle_requested_by",
    "silent": "unreachable, not_answering",
    "given_up": "abandoned_timelines",
    "skip_timelines": "reserve_timelines",
    "FrozenError": "ContainerPausedError",
    "handover_reach": "handover_reachability",
    "handover_decision": "handover_plan",
    "archive_return": "archive_recovery",
    "ArchiveReturn": "ArchiveRecovery",
    "node_control": "node_fence, node_info",
    "pg_node_facts": "pg_node_info",
    "pg_own_roles": "pg_internal_roles",
    "pg_initialise": "pg_initdb",
    "Teller": "VerdictLog",
}
# Of the code; a sentence may say "never a silent loss".
NAMED_IN = ("playbooks", "plugins", "roles")


def texts(root: str) -> Iterator[Path]:
    for path in sorted(ROOT.glob(root)):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix in SUFFIXES and str(file.relative_to(ROOT)) not in QUOTING:
                yield file


def without_quotations(path: Path) -> str:
    """The text, with as many lines as before, without the table of words and without recorded output."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))
    if name == "CONTRIBUTING.md":
        before, heading, words = text.partition("\n## Words\n")
        assert heading, "CONTRIBUTING.md has no table of words"
        text = before + heading + re.sub(r"^\|.*$", "", words, flags=re.MULTILINE)
    return text


def found(text: str) -> list[str]:
    """One sentence per forbidden phrase, with its line."""
    # Ends of lines become as many spaces, so that a position stays what it was. A comment's line begins with a hash.
    flat = re.sub(r"[\s#]*\n[\s#>]*", lambda match: " " * len(match.group()), text)
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()!r}: {instead}"
        for phrase, instead in PHRASES.items()
        for match in re.finditer(re.sub(r" (?![?+*])", " +", phrase), flat, re.IGNORECASE)
    ]


FILES = sorted({path for root in ROOTS for path in texts(root)})


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_has_texts(root: str) -> None:
    assert list(texts(root))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_forbidden_phrase(path: Path) -> None:
    assert found(without_quotations(path)) == []


def names_in(path: Path) -> set[str]:
    """The names of a source; of YAML and templates all words, since they are hardly anything else."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(re.findall(r"\w+", text)) if path.suffix in {".yml", ".j2"} else set()
    tree = ast.parse(text)
    found = {path.stem}
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name"):
            value = getattr(node, field, None)
            found |= {value} if isinstance(value, str) else set()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)
    return found


@pytest.mark.parametrize("folder", NAMED_IN)
def test_no_former_name(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): {name: FORMER_NAMES[name] for name in names_in(path) & set(FORMER_NAMES)}
        for path in texts(folder)
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_a_former_name_is_found(tmp_path: Path) -> None:
    source, tasks = tmp_path / "module.py", tmp_path / "main.yml"
    source.write_text('"""Never a silent loss."""\nSPEC = {"silent": {"type": "list"}}\n')
    tasks.write_text("- relevo.postgres.node_control:\n    by: me\n")
    assert names_in(source) & set(FORMER_NAMES) == {"silent"}
    assert names_in(tasks) & set(FORMER_NAMES) == {"node_control"}


@pytest.mark.parametrize(
    "text",
    [
        "Waited 10 s for X in vain.",
        "X is no standby.",
        "X is no\n  standby.",
        "takes writes; none were\ntaken for 0.158 s",
        "Mend the repository",
        "b knows more than c",
        "how far it came is not known",
        "a file a weekday",
        "4. Else the next day.",
        "`no` for an offline backup, else the date",
    ],
)
def test_the_list_finds_what_was_written_before(text: str) -> None:
    """The check above can fail."""
    assert found(text)


@pytest.mark.parametrize(
    "text", ["There is no backup.", "nothing else works", "if x:\n    y\nelse:\n    z", "recommended"]
)
def test_the_list_spares_good_english_and_code(text: str) -> None:
    assert found(text) == []

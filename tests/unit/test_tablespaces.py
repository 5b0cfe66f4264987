"""Whether a node has the directories of the primary's tablespaces."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import Method
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.tablespaces import (
    State,
    Tablespace,
    look,
    refusal,
)

ME, NOBODY = os.geteuid(), 65533
ANY: tuple[Method, ...] = ("clean", "restore", "basebackup")


def at(path: Path, owner: int = ME) -> State:
    return look({"fast": str(path)}, owner)[0].state


def test_what_a_node_has_is_seen(tmp_path: Path) -> None:
    assert at(tmp_path) == "empty"
    assert at(tmp_path, NOBODY) == "not-ours"
    assert at(tmp_path / "not" / "there") == "creatable"
    assert at(tmp_path / "not" / "there", NOBODY) == "missing"
    (tmp_path / "file").write_text("")
    assert at(tmp_path) == "filled"
    assert at(tmp_path / "file") == "no-directory"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            "missing",
            "/srv/fast of the tablespace fast is missing there (install -d -o postgres -g postgres -m 700 /srv",
        ),
        ("no-directory", "is not a directory there"),
        ("not-ours", "(chown postgres:postgres /srv/fast)"),
    ],
)
def test_a_directory_that_cannot_be_used_is_named_whatever_the_method(state: State, words: str) -> None:
    for methods in (ANY, ("basebackup",), ()):
        assert words in refusal("b", [Tablespace("fast", "/srv/fast", state)], methods)


@pytest.mark.parametrize("state", ["creatable", "empty"])
def test_one_that_can_be_is_not(state: State) -> None:
    assert refusal("b", [Tablespace("fast", "/srv/fast", state)], ("basebackup",)) == ""


def test_only_a_base_backup_needs_it_empty() -> None:
    filled = [Tablespace("fast", "/srv/fast", "filled")]
    assert refusal("b", filled, ANY) == ""
    assert "is not empty there: move what it holds" in refusal("b", filled, ["basebackup"])


def test_all_are_named_at_once() -> None:
    both = [Tablespace("fast", "/srv/fast", "missing"), Tablespace("big", "/srv/big", "not-ours")]
    assert all(path in refusal("b", both, ANY) for path in ("/srv/fast", "/srv/big"))

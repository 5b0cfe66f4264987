"""The files that a role writes in one task: what counts as a difference, and what they become."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._files import (
    Entry,
    bring,
    forget_former,
    keep_former,
    restore_former,
)

REAL_IDS = Entry.ids


@pytest.fixture(autouse=True)
def own_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files belong to who runs the tests: there need not be a user postgres here."""
    monkeypatch.setattr(Entry, "ids", lambda _self: (os.getuid(), os.getgid()))


def entry(path: Path, content: str | None = "x\n", mode: int = 0o640) -> Entry:
    return Entry(path, content, "postgres", "postgres", mode)


@pytest.mark.parametrize("content", ["x\n", None])
def test_what_was_written_does_not_differ(tmp_path: Path, content: str | None) -> None:
    wanted = entry(tmp_path / "a", content, 0o750)
    assert wanted.differs()
    wanted.write()
    assert not wanted.differs()
    assert wanted.current() == content


def test_content_and_mode_count(tmp_path: Path) -> None:
    entry(tmp_path / "a").write()
    assert entry(tmp_path / "a", "y\n").differs()
    assert entry(tmp_path / "a", mode=0o600).differs()


def test_the_owner_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry(tmp_path / "a").write()
    monkeypatch.setattr(Entry, "ids", lambda _self: (os.getuid() + 1, os.getgid()))
    assert entry(tmp_path / "a").differs()


def test_a_directory_in_place_of_a_file_differs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert entry(tmp_path / "a").differs()
    assert entry(tmp_path / "a").current() is None


def test_a_directory_is_made_with_those_above_it(tmp_path: Path) -> None:
    entry(tmp_path / "a" / "b", None, 0o700).write()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_file_is_replaced_never_written_into(tmp_path: Path) -> None:
    """A reader that has it open goes on reading what it opened."""
    entry(tmp_path / "a", "old").write()
    with (tmp_path / "a").open() as reader:
        entry(tmp_path / "a", "new").write()
        assert reader.read() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_user_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(RelevoError, match="relevo_nobody.* on this node. Install its packages first"):
        REAL_IDS(Entry(Path("/x"), "", "relevo_nobody", "root", 0o600))


def test_the_mode_is_octal() -> None:
    given = {"path": "/x", "content": None, "owner": "o", "group": "g", "mode": "0750"}
    assert Entry.from_dict(given) == Entry(Path("/x"), None, "o", "g", 0o750)


def test_a_key_and_its_certificate_change_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are on the disk before the first gets its name."""
    wanted = [entry(tmp_path / "tls", None, 0o750), entry(tmp_path / "tls" / "key"), entry(tmp_path / "tls" / "crt")]
    assert bring(wanted)[0] == [str(one.path) for one in wanted]
    seen: list[list[str]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(sorted(path.name for path in self.parent.glob(".*.new")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    assert bring([wanted[0], entry(tmp_path / "tls" / "key", "y\n"), entry(tmp_path / "tls" / "crt", "y\n")])[0] == [
        str(tmp_path / "tls" / "key"),
        str(tmp_path / "tls" / "crt"),
    ]
    assert seen == [[".crt.new", ".key.new"], [".crt.new"]]


def test_a_file_that_must_be_absent_is_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "old.conf"
    gone = Entry(path, "", "postgres", "postgres", 0o640, absent=True)
    assert bring([gone]) == ([], [])
    path.write_text("old\n")
    changed, [diff] = bring([gone], check_mode=True)
    assert (changed, path.exists()) == ([str(path)], True)
    assert (diff["before"], diff["after"]) == ("old\n", "")
    assert bring([gone])[0] == [str(path)]
    assert not path.exists()


def test_a_secret_of_before_is_not_shown(tmp_path: Path) -> None:
    """Whoever takes a bucket out of the inventory does not name its key any more."""
    entry(tmp_path / "a", "[global]\nrepo2-s3-key-secret=hidden\n").write()
    entry(tmp_path / "b", "[global]\nrepo1-cipher-pass=hidden\n").write()
    gone = Entry(tmp_path / "a", None, "postgres", "postgres", 0o640, absent=True)
    changed, shown = bring([gone, entry(tmp_path / "b", "[global]\ntls-server-key-file=/shown\n")])
    assert changed == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert "hidden" not in str(shown)
    assert "tls-server-key-file=/shown" in shown[1]["after"]


# --- what is replaced ------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != "former"}


def installed(folder: Path, *names: str, text: str) -> list[Entry]:
    """As pgBackRest's files are: the first one is judged, the last one must not be there."""
    files = [replace(entry(folder / name, text, 0o600), judged=name == names[0]) for name in names]
    return [entry(folder, None, 0o755), *files, replace(entry(folder / "gone", None), absent=True)]


def test_what_was_replaced_comes_back_as_it_was(tmp_path: Path) -> None:
    former = tmp_path / "former"
    folder = tmp_path / "etc"
    bring(installed(folder, "a", text="one"))
    (folder / "gone").write_text("theirs")
    (folder / "a").chmod(0o644)
    wanted = installed(folder, "a", "b", text="two")
    assert keep_former(wanted, former)
    bring(wanted)
    assert content(folder) == {"a": "two", "b": "two"}
    assert former.stat().st_mode & 0o777 == 0o600
    named = [str(folder / name) for name in ("a", "b", "gone")]
    assert restore_former(former, check_mode=True) == named
    assert content(folder) == {"a": "two", "b": "two"}
    assert restore_former(former) == named
    assert content(folder) == {"a": "one", "gone": "theirs"}
    assert (folder / "a").stat().st_mode & 0o777 == 0o644
    assert not former.exists()


def test_what_worked_is_kept_whatever_has_come_since(tmp_path: Path) -> None:
    former = tmp_path / "former"
    bring(installed(tmp_path, "a", text="proved"))
    for text in ("tried", "tried again"):
        assert keep_former(installed(tmp_path, "a", text=text), former)
        bring(installed(tmp_path, "a", text=text))
    # A run that installs nothing, after one that was cut off.
    assert keep_former(installed(tmp_path, "a", text="tried again"), former)
    restore_former(former)
    assert content(tmp_path) == {"a": "proved"}


def test_nothing_is_kept_where_nothing_was_or_nothing_is_new(tmp_path: Path) -> None:
    former = tmp_path / "former"
    assert not keep_former(installed(tmp_path, "a", text="one"), former)
    bring(installed(tmp_path, "a", text="one"))
    assert not keep_former(installed(tmp_path, "a", text="one"), former)
    assert not former.exists()
    assert keep_former(installed(tmp_path, "a", text="two"), former)
    forget_former(former)
    assert not former.exists()

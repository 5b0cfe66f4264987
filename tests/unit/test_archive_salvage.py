"""What the archive has and the candidate does not: fetched segment by segment, up to the first that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover import archive_salvage
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_salvage import fetch_segments
from ansible_collections.relevo.postgres.plugins.module_utils._process import Finished

pytestmark = pytest.mark.usefixtures("own_account")

LAST_OF_A_FILE = "0000000200000001000000FF"
NEXT = "000000020000000200000000"


def archive(monkeypatch: pytest.MonkeyPatch, *segments: str, code: int = 1, says: str = "") -> None:
    """An archive that has ``segments``, and answers ``code`` for all others."""

    def run(command: list[str], _timeout: float, _grace: float) -> Finished:
        assert "--no-archive-async" in command
        name, target = command[-2:]
        if name not in segments:
            return Finished(code, "", says, 0.1)
        Path(target).write_text(name)
        return Finished(0, "", "", 0.1)

    monkeypatch.setattr(_process, "run_to_end", run)


def test_it_fetches_on_until_one_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(monkeypatch, LAST_OF_A_FILE, NEXT, "000000020000000200000002")
    directory = tmp_path / "salvage" / "archive"
    directory.parent.mkdir()
    assert fetch_segments("main", LAST_OF_A_FILE, directory) == [LAST_OF_A_FILE, NEXT]
    assert (directory / NEXT).read_text() == NEXT


def test_what_an_earlier_run_fetched_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(monkeypatch)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / NEXT).touch()
    assert fetch_segments("main", NEXT, tmp_path / "archive") == []
    assert list((tmp_path / "archive").iterdir()) == []


def test_an_archive_that_fails_is_not_one_that_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(monkeypatch, LAST_OF_A_FILE, code=49, says="ERROR: [049]: unable to connect")
    with pytest.raises(RelevoError, match=f"{NEXT} could not be fetched .*unable to connect.*Nobody was promoted"):
        fetch_segments("main", LAST_OF_A_FILE, tmp_path / "archive")


# --- two repositories ------------------------------------------------------------------------------------------------

HANGS = -1


def two(monkeypatch: pytest.MonkeyPatch, answers: dict[int, dict[str, int]]) -> list[tuple[int, str, float]]:
    """What each of two repositories answers for a segment, 1 (it has none) by default; returns what is asked."""
    asked: list[tuple[int, str, float]] = []

    class One:
        def __init__(self, _stanza: str, repository: int) -> None:
            self.repository = repository

        def try_run(self, _command: str, *_options: str, words: list[str], timeout: float, level: str) -> Finished:
            assert level == "error"
            asked.append((self.repository, words[0], timeout))
            code = answers[self.repository].get(words[0], 1)
            if code == HANGS:
                raise RelevoError(f"did not end within {timeout:g} s")
            if code == 0:
                Path(words[1]).write_text(words[0])
            return Finished(code, "", "" if code < 2 else "no route", 0.1)

    monkeypatch.setattr(archive_salvage, "repositories", lambda: [1, 2])
    monkeypatch.setattr(archive_salvage, "PgBackRest", One)
    return asked


AFTER_NEXT = "000000020000000200000001"


def test_what_the_first_one_does_not_have_is_asked_of_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one was away when the last but one was archived.
    two(monkeypatch, {1: {LAST_OF_A_FILE: 0, AFTER_NEXT: 0}, 2: {NEXT: 0}})
    said: list[str] = []
    assert fetch_segments("main", LAST_OF_A_FILE, tmp_path, warn=said.append) == [LAST_OF_A_FILE, NEXT, AFTER_NEXT]
    assert said == []


def test_one_that_fails_is_named_once_and_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = two(monkeypatch, {1: {LAST_OF_A_FILE: 49}, 2: {LAST_OF_A_FILE: 0, NEXT: 0}})
    said: list[str] = []
    assert fetch_segments("main", LAST_OF_A_FILE, tmp_path, warn=said.append) == [LAST_OF_A_FILE, NEXT]
    assert said == [
        f"Repository 1 is away: {LAST_OF_A_FILE} could not be fetched: no route. What it alone may have of the dead "
        "primary was not looked for."
    ]
    assert [number for number, _name, _timeout in asked] == [1, 2, 2, 2]


def test_one_that_hangs_does_not_hold_up_the_promotion_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = two(monkeypatch, {1: {LAST_OF_A_FILE: HANGS}, 2: {LAST_OF_A_FILE: 0}})
    assert fetch_segments("main", LAST_OF_A_FILE, tmp_path) == [LAST_OF_A_FILE]
    assert [timeout for _number, _name, timeout in asked] == [15, 60, 60]


def test_one_that_has_not_answered_before_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = two(monkeypatch, {1: {}, 2: {LAST_OF_A_FILE: 0}})
    assert fetch_segments("main", LAST_OF_A_FILE, tmp_path, away=[1]) == [LAST_OF_A_FILE]
    assert {number for number, _name, _timeout in asked} == {2}


def test_one_that_fails_where_the_other_one_has_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the one's WAL need not be that of the other's: it goes on, and not without a word."""
    two(monkeypatch, {1: {}, 2: {LAST_OF_A_FILE: 49}})
    said: list[str] = []
    assert fetch_segments("main", LAST_OF_A_FILE, tmp_path, warn=said.append) == []
    assert len(said) == 1
    assert said[0].startswith(f"Repository 2 is away: {LAST_OF_A_FILE} could not be fetched: no route. What it alone")


def test_where_both_fail_nobody_is_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two(monkeypatch, {1: {LAST_OF_A_FILE: 49}, 2: {LAST_OF_A_FILE: 49}})
    with pytest.raises(RelevoError, match="Nobody was promoted"):
        fetch_segments("main", LAST_OF_A_FILE, tmp_path)
    # What the first one could not tell the second one does not know.
    two(monkeypatch, {1: {NEXT: 49}, 2: {LAST_OF_A_FILE: 0, NEXT: 49}})
    with pytest.raises(RelevoError, match=f"{NEXT} could not be fetched"):
        fetch_segments("main", LAST_OF_A_FILE, tmp_path)

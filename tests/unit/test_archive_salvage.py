"""What the archive has and the candidate does not: fetched segment by segment, up to the first that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
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

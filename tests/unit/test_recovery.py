"""How far a recovery is, from the titles of a server's processes and the times of its segments."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.recovery import progress

AT, NEXT, NEWEST, FUTURE = (f"0000000100000000000000{number}" for number in ("0A", "0B", "1F", "2F"))
TITLES = ["postgres: main: checkpointer ", f"postgres: main: startup recovering {AT}"]
#: The last one was kept under a new name, with what was written to it long ago.
WRITTEN = [(20.0, AT), (30.0, NEWEST), (10.0, FUTURE)]


@pytest.mark.parametrize(
    ("titles", "written", "archive", "sentence"),
    [
        (TITLES, WRITTEN, False, f"It is replaying the WAL segment {AT} of up to {NEWEST} (336.0 MiB left)."),
        (TITLES, [(20.0, AT)], False, f"It is replaying the WAL segment {AT}, its newest."),
        (TITLES, WRITTEN, True, f"It is replaying the WAL segment {AT}."),
        (TITLES, [], False, f"It is replaying the WAL segment {AT}."),
        (TITLES[:1], WRITTEN, False, None),
        ([], WRITTEN, False, None),
    ],
)
def test_progress(titles: list[str], written: list[tuple[float, str]], archive: bool, sentence: str | None) -> None:
    found = progress(titles, written, archive)
    assert (found.sentence if found else None) == sentence

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which timeline the archive knows as its newest, asked in one go where its directory can be guessed."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import newest_archived_timeline
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest

OF_17_1 = ["0000000100000000", "00000002.history", "0000000200000000"]
OF_17_2 = ["0000000100000000"]


class Repository:
    """What ``repo-ls`` finds by path; ``together``: this many questions wait for one another."""

    stanza = "main"

    def __init__(self, found: dict[str, list[str]], together: int = 1) -> None:
        self.found, self.asked = found, list[str]()
        self._all_asked = threading.Barrier(together)

    def names(self, path: str, _timeout: float) -> list[str]:
        self.asked.append(path)
        if self._all_asked.parties > 1:
            self._all_asked.wait(10)
        if path not in self.found:
            raise RelevoError(f"no {path}")
        return self.found[path]


def newest(repository: Repository, likely: str = "") -> int:
    return newest_archived_timeline(cast(PgBackRest, repository), 1, likely)


@pytest.mark.parametrize(
    ("found", "timeline"),
    [
        ({"archive/main": []}, 0),
        ({"archive/main": ["17-1"], "archive/main/17-1": OF_17_1}, 2),
        ({"archive/main": ["17-1"], "archive/main/17-1": []}, 0),
        # The guess is another database's than the newest: of an upgrade, of a restore, of another major version.
        ({"archive/main": ["17-1", "17-2"], "archive/main/17-1": OF_17_1, "archive/main/17-2": OF_17_2}, 1),
        ({"archive/main": ["18-1"], "archive/main/18-1": OF_17_2}, 1),
    ],
)
def test_a_guess_changes_no_answer(found: dict[str, list[str]], timeline: int) -> None:
    assert newest(Repository(found)) == newest(Repository(found), "17-1") == timeline


def test_both_questions_are_asked_at_the_same_time() -> None:
    repository = Repository({"archive/main": ["17-1"], "archive/main/17-1": OF_17_1}, together=2)
    assert newest(repository, "17-1") == 2
    assert sorted(repository.asked) == ["archive/main", "archive/main/17-1"]


@pytest.mark.parametrize("found", [{"archive/main/17-1": OF_17_1}, {"archive/main": ["17-1"]}])
def test_a_question_that_fails_is_not_passed_over(found: dict[str, list[str]]) -> None:
    with pytest.raises(RelevoError, match="^no archive/main"):
        newest(Repository(found), "17-1")

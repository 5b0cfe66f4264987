# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of two that is away: it is named, and does not stop what the other one makes possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from .._errors import RelevoError
from .command import CONFIG
from .pgbackrest import PgBackRest

Answer = TypeVar("Answer")

#: Seconds within which one of several answers a question that costs 0.1 s; otherwise it is away.
FIRST_ANSWER = 10.0


@dataclass(frozen=True)
class Away:
    """A repository that failed, and why, as a sentence."""

    repository: int
    reason: str

    @property
    def sentence(self) -> str:
        return f"Repository {self.repository} is away: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def each(
    numbers: Sequence[int], do: Callable[[int], Answer], at_once: bool = False
) -> tuple[dict[int, Answer], list[Away]]:
    """Do something with each repository: what came of it by number, and those that failed.

    ``at_once``: for what only reads, so that one that hangs costs its time once. Raises the first failure where all
    failed: what is wrong then is not one repository.
    """

    def attempt(number: int) -> Answer | RelevoError:
        try:
            return do(number)
        except RelevoError as error:
            return error

    if at_once:
        with ThreadPoolExecutor(max_workers=len(numbers)) as pool:
            came = dict(zip(numbers, pool.map(attempt, numbers), strict=True))
    else:
        came = {number: attempt(number) for number in numbers}
    failures = {number: error for number, error in came.items() if isinstance(error, RelevoError)}
    answers = {number: answer for number, answer in came.items() if not isinstance(answer, RelevoError)}
    if failures and not answers:
        raise next(iter(failures.values()))
    return answers, [Away(number, error.message) for number, error in failures.items()]


def answering(stanza: str, numbers: Sequence[int], config: Path | str = CONFIG) -> tuple[list[int], list[Away]]:
    """Which of several repositories answer at all, and which are away; where there is one it is not asked.

    To be asked before anything else is: pgBackRest tries a bucket that refuses it for nine times its io-timeout, which
    is three minutes, at each of its commands (seen with 2.55.1). Raises the first failure where none answers.
    """
    if len(numbers) == 1:
        return list(numbers), []
    there, away = each(
        numbers, lambda number: PgBackRest(stanza, config, number).require_answer(FIRST_ANSWER), at_once=True
    )
    return list(there), away


def each_that_answers(
    stanza: str,
    numbers: Sequence[int],
    do: Callable[[int], Answer],
    config: Path | str = CONFIG,
    at_once: bool = False,
) -> tuple[dict[int, Answer], list[Away]]:
    """``each`` of those that are there (``answering``); the others are away, too."""
    there, away = answering(stanza, numbers, config)
    found, failed = each(there, do, at_once)
    return found, [*away, *failed]


#: Seconds for the archiver of a server that is stopped to end what it has begun.
ARCHIVER = 60.0
#: With a repository that is away it never ends it: what is left is pushed to the other one by us.
ARCHIVER_IN_VAIN = 5.0


def archiver_timeout(away: Sequence[Away]) -> float:
    """How long the archiver of a server that has written its last WAL is waited for."""
    return ARCHIVER_IN_VAIN if away else ARCHIVER

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of two that is away: it is named, and does not stop what the other one makes possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from .._errors import RelevoError

Answer = TypeVar("Answer")


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


def each(numbers: Sequence[int], do: Callable[[int], Answer]) -> tuple[dict[int, Answer], list[Away]]:
    """Do something with each repository: what came of it by number, and those that failed.

    Raises the first failure where all failed: what is wrong then is not one repository.
    """
    answers: dict[int, Answer] = {}
    failures: list[tuple[int, RelevoError]] = []
    for number in numbers:
        try:
            answers[number] = do(number)
        except RelevoError as error:
            failures.append((number, error))
    if failures and not answers:
        raise failures[0][1]
    return answers, [Away(number, error.message) for number, error in failures]

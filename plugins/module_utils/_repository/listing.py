# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories that a host is configured for, and where each is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._errors import RelevoError
from .command import config_of, repositories
from .pgbackrest import place_of


def described(number: int, config: Path) -> dict[str, Any]:
    """``number``, ``place`` as the catalog names it, and ``directory``: that path, or empty for a bucket."""
    own = config_of(number, config)
    # Without a configuration there is what pgBackRest takes by itself: whoever asks it next is told what is missing.
    place = place_of(own.read_text() if own.exists() else "[global]\n")
    return {"number": number, "place": place, "directory": place if place.startswith("/") else ""}


def listed(config: Path, only: int = 0) -> list[dict[str, Any]]:
    """All of them, each ``described``; or that with the number ``only``, which must be there."""
    numbers = repositories(config)
    if only and only not in numbers:
        raise RelevoError(
            f"There is no repository {only}. Nothing was touched. Choose one of {', '.join(map(str, numbers))}, or "
            "leave repository_number out."
        )
    return [described(number, config) for number in numbers if only in (0, number)]

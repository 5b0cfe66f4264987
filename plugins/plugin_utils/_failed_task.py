# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, from its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sentence_of(result: Mapping[str, Any]) -> str:
    """Why a task failed; of a loop, why its first item did that failed."""
    items = [item for item in result.get("results", []) if item.get("failed") or item.get("unreachable")]
    said = (items[0] if items else result).get("msg") or result.get("msg") or result.get("censored") or "see above"
    return " ".join(f"{said}".split())

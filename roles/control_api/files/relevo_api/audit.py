# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line for each change, and for each change that was refused: who, from where, what, and what became of it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import append_line


def line_of(*, who: str, address: str, what: str, cluster: str, result: str, job: str = "", **more: Any) -> str:
    """A JSON object in one line; ``more`` must hold no secret."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    fixed = {"at": at, "who": who, "from": address, "what": what, "cluster": cluster, "job": job, "result": result}
    return json.dumps({**fixed, **more}, ensure_ascii=False)


def note(path: Path, **what: Any) -> None:
    """To the audit file, and to where the service logs (the journal under systemd)."""
    line = line_of(**what)
    append_line(path, line)
    print(f"audit {line}", file=sys.stderr, flush=True)

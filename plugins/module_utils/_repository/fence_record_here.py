# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``fence_record`` does on the repository host, as a module and as a program: in an emergency it stands before the
promotion, and a host that freezes must not keep that from being decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._errors import RelevoError
from .directory import answer_of
from .fence_record import FenceRecord, require_place, try_place
from .pgbackrest import in_bucket, repository_directory


def configured_directory(config: Path, wanted: bool) -> Path | None:
    """The repository's directory; None for a bucket that no record is ``wanted`` in: there is none to be withdrawn."""
    try:
        text = config.read_text()
        return None if in_bucket(text) and not wanted else repository_directory(text)
    except OSError as error:
        raise RelevoError(f"{config} cannot be read ({error.strerror}). Run site.yml, which writes it.") from error
    except RelevoError as error:
        raise RelevoError(f"No record of a fence can be kept here: {error.message}") from error


def keep(params: dict[str, Any], directory: Path, check_mode: bool) -> dict[str, Any]:
    """Have the records as they are wanted; returns what the module does."""
    state = params["state"]
    wanted = params["content"] if state == "present" else None
    if state == "tried":
        if check_mode:
            require_place(directory)
        else:
            try_place(directory)
        return {"changed": False, "directory": str(directory), "diff": []}
    records = [FenceRecord(node) for node in params["nodes"]]
    if wanted is not None and len(records) != 1:
        raise RelevoError("state=present takes one node, since a marker is that of one node.")
    before = {record.name: record.text_in(directory) for record in records}
    changing = [record for record in records if before[record.name] != wanted]
    for record in [] if check_mode else changing:
        if wanted is None:
            record.withdraw(directory)
        else:
            record.write(directory, wanted)
    diff = [
        {"before": before[record.name] or "", "after": wanted or "", "before_header": record.name}
        for record in changing
    ]
    return {"changed": bool(changing), "directory": str(directory), "diff": diff}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program, and all that the module does. ``question``: the module's arguments, and ``check_mode``."""
    directory = configured_directory(Path(question["config"]), question["state"] != "absent")
    if directory is None:
        return {"changed": False, "directory": "", "diff": []}
    return answer_of(directory, lambda: keep(question, directory, question["check_mode"]))

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pg_promote`` does on its node, as a module and as a program."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from .._errors import RelevoError
from .._server.arguments import credentials_of, find_node, nodes_of
from .._server.session import PSYCOPG_IMPORT_ERROR, Session
from .promotion import Promotion, PromotionRequest


def promote(given: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Promote, or in check mode make the checks; returns what the module returns. ``given``: its arguments."""
    nodes = nodes_of(given)
    salvage = given["salvage"]
    request = PromotionRequest(
        local=find_node(nodes, given["node"]),
        nodes=nodes,
        old_primary=given["old_primary"],
        requested_by=given["requested_by"],
        salvage=Path(salvage) if salvage and Path(salvage).is_dir() else None,
        stanza=given["stanza"],
        archived_from=given["archived_from"],
        newer_timeline=given["newer_timeline"],
        force=given["force"],
        stopped=given["stopped"],
    )
    promotion = Promotion(
        request, given["service_manager"], credentials=credentials_of(given), timeout=given["timeout"]
    )
    if check_mode:
        with Session.local() as session:
            standby = session.flag("SELECT pg_is_in_recovery()")
        if standby:
            promotion.check()
        return {"changed": standby, "promoted": standby, "withdraw_record": False}
    # The controller may die or hang up in the middle: what was begun is finished all the same.
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    result = promotion.run()
    return {"changed": result["promoted"], **result}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program. ``question``: ``arguments`` and ``check_mode``."""
    if PSYCOPG_IMPORT_ERROR:
        raise RelevoError("This node lacks the Python package psycopg. Run site.yml, which installs it.")
    return promote(question["arguments"], question["check_mode"])

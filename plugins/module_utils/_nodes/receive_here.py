# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL of another machine, as a program that writes it on this one."""

from __future__ import annotations

from typing import Any

from .._server.service import service_for
from .fence_here import unpack
from .local_node import LocalNode
from .offline_node import FileStream


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``question``: ``node``, ``service_manager`` and ``files``, packed, by their path."""
    node = LocalNode(question["node"], service_for(question["service_manager"]))
    for path, packed in question["files"].items():
        data = unpack(packed)
        node.write_file(path, FileStream(len(data), iter([data])))
    return {"written": len(question["files"])}

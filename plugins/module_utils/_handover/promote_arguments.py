# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of ``pg_promote``. Apart from what it does, so that the controller does not load libpq for them."""

from __future__ import annotations

from typing import Any

from .._server.arguments import nodes_spec


def spec() -> dict[str, Any]:
    """The arguments."""
    return {
        **nodes_spec(),
        "node": {"type": "str", "required": True},
        "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
        "old_primary": {"type": "str", "default": ""},
        "salvage": {"type": "path"},
        "stanza": {"type": "str"},
        "archived_from": {"type": "str", "default": ""},
        "newer_timeline": {"type": "int", "default": 0},
        "stopped": {"type": "dict", "default": {}},
        "force": {"type": "bool", "default": False},
        "requested_by": {"type": "str", "default": "ansible"},
    }

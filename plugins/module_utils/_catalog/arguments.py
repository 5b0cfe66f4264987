# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules that reach Redis. Apart, so that the controller does not load its library for them."""

from __future__ import annotations

from typing import Any

from .._names import REDIS_PORT


def connection_spec() -> dict[str, dict[str, Any]]:
    """Return the argument spec that belongs to the documentation fragment ``relevo.postgres.redis``."""
    return {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": REDIS_PORT},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "db": {"type": "int", "default": 0},
        "tls": {"type": "bool", "default": False},
        "ca_certs": {"type": "path"},
        "timeout": {"type": "float", "default": 5.0},
        "unreachable": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
    }

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of a backup's modules. Apart from what they do, so that the controller loads no library for them."""

from __future__ import annotations

from typing import Any

from .. import _names
from .._catalog.arguments import connection_spec
from .._server.arguments import nodes_spec

Spec = dict[str, Any]


def _repository() -> dict[str, Spec]:
    return {
        "stanza": {"type": "str", "default": "main"},
        "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
        "repository": {"type": "int", "default": 1},
    }


def info_spec() -> Spec:
    """Of ``backup_cycle_info``. Redis is reached by what its own modules are given."""
    return {
        "argument_spec": {
            **_repository(),
            "repository": {"type": "int", "default": 0},
            "only": {"type": "int", "default": 0},
            "wait": {"type": "float", "default": 0},
            **nodes_spec(),
            "unreachable": {"type": "dict", "default": {}},
            "catalog": {"type": "dict", "options": connection_spec()},
        }
    }


def backup_spec() -> Spec:
    """Of ``pgbackrest_backup``."""
    servers = nodes_spec()
    return {
        "argument_spec": {
            **_repository(),
            "type": {"type": "str", "choices": ["full", "diff", "incr"], "default": "incr"},
            "annotations": {"type": "dict", "default": {}},
            "online": {"type": "bool", "default": True},
            "force": {"type": "bool", "default": False},
            "host": {"type": "str"},
            "process_max": {"type": "int"},
            "retention_full": {"type": "int"},
            "timeout": {"type": "float"},
            "connect_timeout": {"type": "float", "default": 5},
            "primary": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "timeline": {"type": "int", "required": True},
                    "nodes": {**servers["nodes"], "required": True},
                    "timeout": servers["timeout"],
                    "passfile": servers["passfile"],
                    "ca_file": servers["ca_file"],
                    "unreachable": {"type": "dict", "default": {}},
                    "observer": {"type": "str", "default": ""},
                },
            },
        }
    }


def record_spec() -> Spec:
    """Of ``redis_backup_record``."""
    return {
        "argument_spec": {
            **connection_spec(),
            **_repository(),
            "state": {"type": "str", "choices": ["synced", "present", "absent"], "default": "synced"},
            "repo_path": {"type": "path", "default": str(_names.REPOSITORY_DIR)},
            "backups": {"type": "list", "elements": "dict"},
            "databases": {"type": "list", "elements": "dict", "default": []},
            "keys": {"type": "list", "elements": "str", "no_log": False},
            "search": {"type": "bool", "default": False},
            "only_repository": {"type": "bool", "default": False},
        },
        "required_if": [
            ("state", "present", ["backups"]),
            ("state", "absent", ["backups", "keys"], True),
        ],
    }

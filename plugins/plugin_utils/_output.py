# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the output of a play is."""

from __future__ import annotations

from ansible.constants import config


def speaks_json() -> bool:
    """Whether the output is one JSON document, which a text in between would break; the result is in it anyway."""
    return str(config.get_config_value("DEFAULT_STDOUT_CALLBACK")).endswith(("json", "jsonl"))

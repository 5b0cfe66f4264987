# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failed_because
short_description: Why a task failed
version_added: 0.1.0
description:
  - The sentence that a task failed with. Of a loop Ansible's own V(msg) says only that an item failed; this is the
    sentence of the first one that did.
author: The Relevo authors (@relevo)
options:
  _input:
    description: C(ansible_failed_result).
    type: dict
    required: true
"""

EXAMPLES = r"""
reason: "{{ ansible_failed_result | relevo.postgres.failed_because }}"
"""

RETURN = r"""
_value:
  description: The sentence, without line breaks.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.relevo.postgres.plugins.plugin_utils._failed_task import sentence_of


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"failed_because": sentence_of}

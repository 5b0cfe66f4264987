# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boolean that was given as text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: flag
short_description: Take a boolean for what modules and roles take it for
version_added: 0.1.0
description:
  - Takes a boolean as C(-e), a survey or an INI inventory gives it, and returns what modules and argument
    specifications take it for. V(true), V(yes), V(y), V(t), V(on) and V(1) are true, in any case of letters.
  - P(ansible.builtin.bool#filter) takes V(y) and V(t), and all that is neither true nor false, for false.
  - Fails for what is neither. Nothing at all, which YAML makes of a value that is left out, is false.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The value.
    type: raw
    required: true
"""

EXAMPLES = r"""
force: "{{ force | default(false) | relevo.postgres.flag }}"
"""

RETURN = r"""
_value:
  description: What it says.
  type: bool
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean


def flag(value: Any) -> bool:
    """See DOCUMENTATION."""
    if value is None:
        return False
    try:
        return bool(boolean(value))
    except TypeError:
        raise AnsibleFilterError(f"{value!r} is neither true nor false. Write true or false.") from None


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"flag": flag}

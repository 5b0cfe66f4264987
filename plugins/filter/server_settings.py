# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a server's configuration file, with the parameters that an owner gives."""

from __future__ import annotations

DOCUMENTATION = r"""
name: server_settings
short_description: The lines of a server's configuration file
version_added: 0.1.0
description:
  - Takes the parameters that the role sets and returns a line for each of them, with those that an owner gives in their
    place.
  - Fails where an owner gives one that this collection stands on, with another value than the role's.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The parameters that the role sets, by name.
    type: dict
  given:
    description:
      - The parameters that the owner gives, by name. A list is written with commas between its values. Null leaves the
        parameter out of the file, so that PostgreSQL's own default holds.
    type: dict
    required: true
"""

EXAMPLES = r"""
content: "{{ {'work_mem': '4MB'} | relevo.postgres.server_settings({'search_path': ['app', 'public']}) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def server_settings(ours: Mapping[str, Any], given: Mapping[str, Any] | None) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
    from ansible_collections.relevo.postgres.plugins.module_utils._server.settings_file import server_lines

    try:
        return server_lines(ours, given or {})
    except RelevoError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"server_settings": server_settings}

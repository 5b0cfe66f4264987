# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the secrets of a host are on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secrets_folder
short_description: Where the secrets of a host are on the controller
version_added: 0.1.0
description:
  - Takes the host's C(relevo_secrets_dir), and returns the folder with its secrets. That is the one beside the
    inventory where none is given.
author: The Relevo authors (@relevo)
positional: inventory_dir
options:
  _input:
    description: The host's C(relevo_secrets_dir), or an empty text.
    type: str
    required: true
  inventory_dir:
    description: The host's variable of that name.
    type: str
    required: true
"""

EXAMPLES = r"""
secrets_dir: "{{ relevo_secrets_dir | default('') | relevo.postgres.secrets_folder(inventory_dir) }}"
"""

RETURN = r"""
_value:
  description: A path.
  type: str
"""

from collections.abc import Callable
from typing import Any


def secrets_folder(given: str, inventory_dir: str) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import secrets_directory

    return secrets_directory({"relevo_secrets_dir": given, "inventory_dir": inventory_dir})


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"secrets_folder": secrets_folder}

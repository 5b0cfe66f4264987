# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations in which each of two repositories stands alone."""

from __future__ import annotations

DOCUMENTATION = r"""
name: repository_files
short_description: The configurations in which each of two repositories stands alone
version_added: 0.1.0
description:
  - Takes pgBackRest's configuration and returns files for M(relevo.postgres.managed_files), one for each repository, in
    which it is the only one. Where there are not O(several), they are to be absent.
author: The Relevo authors (@relevo)
positional: mode, several
options:
  _input:
    description: The configuration.
    type: str
  mode:
    description: The mode of the files.
    type: str
    default: '0640'
  several:
    description: Whether there are two repositories.
    type: bool
    default: false
"""

EXAMPLES = r"""
files: "{{ configuration | relevo.postgres.repository_files(several=true) }}"
"""

RETURN = r"""
_value:
  description: The files.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any


def repository_files(text: str, mode: str = "0640", several: bool = False) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.alone import files

    return files(text, mode, several)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"repository_files": repository_files}

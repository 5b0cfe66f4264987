# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second repository in pgBackRest's options."""

from __future__ import annotations

DOCUMENTATION = r"""
name: second_repository
short_description: The second repository in pgBackRest's options
version_added: 0.1.0
description:
  - Takes the variables C(pgbackrest_repo2_*) of the role C(pgbackrest) by the rest of their names, and returns
    pgBackRest's options without the repository's number; none where there is no second repository.
  - Fails for a path that cannot be meant.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The variables, such as C(type), C(path), C(s3_bucket).
    type: dict
  first_path:
    description: The path of the first repository.
    type: str
    required: true
"""

EXAMPLES = r"""
options: "{{ {'type': 'none'} | relevo.postgres.second_repository('/var/lib/pgbackrest') }}"
"""

RETURN = r"""
_value:
  description: The options by name.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def second_repository(given: Mapping[str, Any], first_path: str) -> dict[str, str]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import options

    try:
        return options(given, first_path)
    except RelevoError as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"second_repository": second_repository}

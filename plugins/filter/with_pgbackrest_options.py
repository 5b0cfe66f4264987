# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest's configuration with the options that an owner gives."""

from __future__ import annotations

DOCUMENTATION = r"""
name: with_pgbackrest_options
short_description: PgBackRest's configuration with the options that an owner gives
version_added: 0.1.0
description:
  - Takes the text of a configuration and returns it with each given option once, in the section C([global]); what the
    text says of that option, in whichever section, is left out.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The configuration.
    type: str
  options:
    description: The options by name. A list gives a line for each value, and a boolean C(y) or C(n).
    type: dict
    required: true
  version:
    description:
      - What C(pgbackrest version) says. What we write by ourselves and this release refuses is left out; not what is
        given.
    type: str
    default: ''
"""

EXAMPLES = r"""
content: "{{ configuration | relevo.postgres.with_pgbackrest_options({'compress-type': 'lz4'}) }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def with_pgbackrest_options(text: str, options: Mapping[str, Any], version: str = "") -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.configuration import (
        known_to,
        with_options,
    )

    return with_options(known_to(text, version), options)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"with_pgbackrest_options": with_pgbackrest_options}

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the major version of PostgreSQL."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgresql_paths
short_description: What follows from the major version of PostgreSQL
version_added: 0.1.0
description:
  - Takes C(postgresql_version) of a host, or none where the inventory does not give it, and returns the version with
    the paths and the package that follow from it.
  - The default is that of the role C(postgresql), where alone it is written down.
author: The Relevo authors (@relevo)
options:
  _input:
    description: A major version, or none.
    type: str
"""

EXAMPLES = r"""
path: "{{ (postgresql_version | default(none) | relevo.postgres.postgresql_paths).data_directory }}"
"""

RETURN = r"""
_value:
  description: C(version), C(data_directory), C(bin_directory), C(package), the C(parameters) that not all
    have, and C(unlimited), the options of a superuser's session of ours.
  type: dict
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.module_utils import _names

ROLE_DEFAULTS = Path(__file__).resolve().parents[2] / "roles" / "postgresql" / "defaults" / "main.yml"


@functools.cache
def default_version() -> str:
    """The version of a host for which the inventory gives none."""
    return str(yaml.safe_load(ROLE_DEFAULTS.read_text(encoding="utf-8"))["postgresql_version"])


#: So that status, hand-overs and their locks get in while applications use all connections. PostgreSQL 16 brought it.
RESERVED_CONNECTIONS = 5
RESERVED_SINCE = 16


def parameters_of(version: str) -> dict[str, int]:
    """The server parameters of ours that not every major version has."""
    return {"reserved_connections": RESERVED_CONNECTIONS} if int(version) >= RESERVED_SINCE else {}


def postgresql_paths(version: object = None) -> dict[str, Any]:
    """See DOCUMENTATION."""
    wanted = default_version() if version is None else str(version)
    if fault := _names.version_fault(wanted):
        raise AnsibleFilterError(fault)
    return {
        "version": wanted,
        "data_directory": str(_names.data_directory(wanted)),
        "bin_directory": str(_names.bin_directory(wanted)),
        "package": f"postgresql-{wanted}",
        "parameters": parameters_of(wanted),
        "unlimited": _names.unlimited(int(wanted), superuser=True),
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"postgresql_paths": postgresql_paths}

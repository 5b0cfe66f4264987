# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of all variables that this collection reads, out of the argument_specs.yml of its roles.

They are installed with the roles, beside the plugins; nothing else lists the variables.
"""

from __future__ import annotations

import functools
from pathlib import Path

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.variables import (
    GIVEN_BY_AWX,
    LEFT_BY_TASKS,
    SHARED,
    roots_of,
)

ROLES = Path(__file__).resolve().parents[2] / "roles"


@functools.cache
def known_variables() -> frozenset[str]:
    """What people and our own tasks may set. 0.15 s with libyaml, so no emergency asks."""
    names = set(SHARED | LEFT_BY_TASKS | GIVEN_BY_AWX)
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        for entry in yaml_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            names |= set(entry.get("options") or {})
    return frozenset(names)


@functools.cache
def roots() -> list[str]:
    """What our variables begin with."""
    return roots_of(path.parents[1].name for path in ROLES.glob("*/meta/argument_specs.yml"))

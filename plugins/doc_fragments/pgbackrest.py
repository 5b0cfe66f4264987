# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that every module around pgBackRest has."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  action_group:
    description: Use C(group/relevo.postgres.pgbackrest) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - relevo.postgres.pgbackrest
options:
  stanza:
    description: The stanza, which is also the cluster's name.
    type: str
    default: main
  config:
    description: pgBackRest's configuration file on the host that runs the module.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
requirements:
  - pgbackrest 2.55 or newer on the host that runs the module
notes:
  - Runs as root or as C(postgres); pgBackRest itself always runs as C(postgres).
  - When pgBackRest fails, its return code and its own words are returned as RV(ignore:rc) and RV(ignore:stderr).
"""

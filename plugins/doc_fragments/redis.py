# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that say where the catalog's Redis is."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  action_group:
    description: Use C(group/relevo.postgres.redis) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - relevo.postgres.redis
options:
  host:
    description: Name or address of the Redis server.
    type: str
    required: true
  port:
    description: Port of the Redis server.
    type: int
    default: 6379
  username:
    description: User of the server's access control list; without it the default user.
    type: str
  password:
    description: Password of that user.
    type: str
  db:
    description: Number of the database that holds the catalog.
    type: int
    default: 0
  tls:
    description: Whether to connect over TLS.
    type: bool
    default: false
  ca_certs:
    description: File with the certificates of the authorities that may have signed the server's one.
    type: path
  timeout:
    description:
      - Seconds that connecting, and each answer, may take.
      - A server that hangs ends the module after this time.
    type: float
    default: 5.0
  unreachable:
    description:
      - What to do when Redis cannot be used.
      - V(fail) ends the task with the reason.
      - V(report) succeeds with RV(ignore:reachable=false) and the reason, for plays that go on without the catalog.
    type: str
    choices: [fail, report]
    default: fail
requirements:
  - redis (Debian package python3-redis) 4.5 or newer on the host that runs the module
"""

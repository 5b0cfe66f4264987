#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_configuration
short_description: Write a server's configuration, once the server's own program has accepted it
version_added: 0.1.0
description:
  - Has the node's PostgreSQL judge settings, rules of access and maps of users before one of the files is replaced.
    What it does not take is refused with file, line and the server's own words, and the old files stay.
  - They are judged at every run, also where nothing has changed, so that a refusal is said until it is corrected.
  - It needs neither data nor a running server, and touches neither.
  - A standby keeps the greater value of what may not be lower there than on the primary (C(max_connections) and four
    others), beside these files, until its primary has been restarted with the lower one.
  - What only a start with the real data shows is not known before, such as memory that the machine does not have. Nor
    are the settings of a library that is not loaded at the start, and what C(ALTER SYSTEM) has set.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
    details: On a node that has no server or no certificate yet, nothing is judged.
  diff_mode:
    support: full
options:
  version:
    description: The major version that the node holds, or is meant to hold.
    type: str
    required: true
  settings:
    description: The text of C(postgresql.conf).
    type: str
    required: true
  hba:
    description: The text of C(pg_hba.conf).
    type: str
    required: true
  ident:
    description: The text of C(pg_ident.conf).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write the server's configuration
  relevo.postgres.pg_configuration:
    version: "{{ (postgresql_version | relevo.postgres.postgresql_paths).version }}"
    settings: "{{ lookup('ansible.builtin.template', 'postgresql.conf.j2') }}"
    hba: "{{ lookup('ansible.builtin.template', 'pg_hba.conf.j2') }}"
    ident: "{{ lookup('ansible.builtin.template', 'pg_ident.conf.j2') }}"
"""

RETURN = r"""
changed_paths:
  description: What was, or in check mode would be, written.
  returned: success
  type: list
  elements: str
written:
  description:
    - When the newest of the files that the server reads was written, these and those of the node's identity. A server
      that has read its configuration before has not read all of it.
  returned: success
  type: str
  sample: '2026-11-26T04:40:10.123456+00:00'
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry, bring
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import standby_minimum
from ansible_collections.relevo.postgres.plugins.module_utils._server.configuration_trial import (
    refusal,
    try_configuration,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.node_info import configuration_written
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server

DIRECTORIES = {
    _names.REPLICATION_CONF.parent: 0o750,
    _names.LOG_DIR: 0o750,
    _names.MARKER_DIR: 0o700,
}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    server = Server(_names.data_directory(params["version"]))
    files = {
        _names.CONFIG_FILE: params["settings"],
        _names.HBA_FILE: params["hba"],
        _names.IDENT_FILE: params["ident"],
    }
    can_judge = (server.bin_directory / "postgres").exists() and _names.CERTIFICATE.exists()
    if can_judge or not module.check_mode:
        faults = try_configuration(server, files)
        if faults:
            raise RelevoError(refusal(faults), faults=[fault.sentence for fault in faults])
    changed, diff = bring([*map(_directory, DIRECTORIES), *(_file(*file) for file in files.items())], module.check_mode)
    if server.initialised and standby_minimum.bring(server, module.check_mode):
        changed.append(str(standby_minimum.FILE))
    return {"changed": bool(changed), "changed_paths": changed, "diff": diff, "written": configuration_written()}


def _directory(path: Path) -> Entry:
    return Entry(path, None, "postgres", "postgres", DIRECTORIES[path])


def _file(path: Path, text: str) -> Entry:
    return Entry(path, text, "postgres", "postgres", 0o640)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "settings": {"type": "str", "required": True},
            "hba": {"type": "str", "required": True},
            "ident": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

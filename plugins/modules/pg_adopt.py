#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_adopt
short_description: Make a running server that others have set up read the collection's configuration
version_added: 0.1.0
description:
  - Adds an C(include) to the end of its C(postgresql.conf), and the lines of the collection's own roles to the top of
    its C(pg_hba.conf) and C(pg_ident.conf), and lets it read them. Nothing of theirs is removed, and nothing restarted.
  - The unit of systemd that runs it will not start it again once its process has ended, since only the collection's
    unit has the start guard.
  - On a standby, what C(ALTER SYSTEM) says of whom it follows is moved to where the collection's modules write it.
  - M(relevo.postgres.pg_adoption_info) tells whether it may be done.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  version:
    description: The major version of the server.
    type: str
    required: true
  hba:
    description: The lines of C(pg_hba.conf) for the collection's own roles.
    type: str
    required: true
  ident:
    description: The lines of C(pg_ident.conf).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Adopt the server
  relevo.postgres.pg_adopt:
    version: "{{ (postgresql_version | relevo.postgres.postgresql_paths).version }}"
    hba: "{{ lookup('ansible.builtin.template', 'pg_hba_internal.conf.j2') }}"
    ident: "{{ lookup('ansible.builtin.template', 'pg_ident.conf.j2') }}"
"""

RETURN = r"""
changed_paths:
  description: What was, or in check mode would be, written.
  returned: success
  type: list
  elements: str
"""

import grp
import pwd
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry, bring
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import foreign
from ansible_collections.relevo.postgres.plugins.module_utils._server.adoption import FOLLOWS
from ansible_collections.relevo.postgres.plugins.module_utils._server.adoption_files import (
    DROP_IN,
    INCLUDE,
    START_CONF,
    drop_in,
    start_conf,
    with_block,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until

_AUTO = "SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
_LOADED = "SELECT pg_conf_load_time()"
_REFUSED = """
SELECT string_agg(said, '; ') FROM (
  SELECT sourcefile || ', line ' || sourceline || ': ' || error FROM pg_file_settings
    WHERE error IS NOT NULL AND error <> 'setting could not be applied'
  UNION ALL SELECT 'pg_hba.conf, line ' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL
) AS refused (said)
"""


def adopt(server: Server, hba: str, ident: str, check_mode: bool) -> tuple[list[str], list[dict[str, str]]]:
    """Let it read our files; returns what was written, and what Ansible shows as differences.

    Each step can be the last that was done: what it needs is there before it, and run again it finishes the rest.
    """
    found, files = foreign.look(server)
    entries = [
        _changed(files["hba_file"], with_block(files["hba_file"].read_text(), hba, top=True)),
        _changed(files["ident_file"], with_block(files["ident_file"].read_text(), ident, top=True)),
        _changed(files["config_file"], with_block(files["config_file"].read_text(), INCLUDE, top=False)),
        Entry(drop_in(found.unit).parent, None, "root", "root", 0o755),
        Entry(drop_in(found.unit), DROP_IN, "root", "root", 0o644),
    ]
    start = start_conf(files["config_file"])
    if start:
        entries.append(_changed(start, START_CONF))
    moved = _moved(server) if found.standby else []
    if found.standby and not check_mode and not _names.REPLICATION_CONF.exists():
        # As it is now, until site.yml points it at the primary in our own way.
        server.write_replication_conf(found.in_force["primary_conninfo"], found.in_force["primary_slot_name"])
    changed, diff = bring(entries, check_mode)
    if check_mode:
        return [*changed, *moved], diff
    if changed or not foreign.has_read_our_files(server):
        _daemon_reload()
        _reload(server)
    for name in moved:
        foreign.psql(server, foreign.listening_port(server), f"ALTER SYSTEM RESET {name}")
    if moved:
        _reload(server)
    return [*changed, *moved], diff


def _changed(path: Path, text: str) -> Entry:
    """A file of theirs with another content, and the owner and rights that it has."""
    found = path.stat()
    owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    return Entry(path.resolve(), text, owner, group, found.st_mode & 0o7777)


def _moved(server: Server) -> list[str]:
    """The settings to be taken out of ``postgresql.auto.conf``."""
    said = foreign.psql(server, foreign.listening_port(server), _AUTO).split()
    return [name for name in FOLLOWS if name in said]


def _daemon_reload() -> None:
    done = subprocess.run(["systemctl", "daemon-reload"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RelevoError(f"systemctl daemon-reload failed: {done.stderr.strip()}")


def _reload(server: Server) -> None:
    port = foreign.listening_port(server)
    before = foreign.psql(server, port, _LOADED)
    foreign.psql(server, port, "SELECT pg_reload_conf()")
    refused = ""

    def loaded() -> bool:
        nonlocal refused
        refused = foreign.psql(server, port, _REFUSED).strip()
        return bool(refused) or foreign.psql(server, port, _LOADED) != before

    wait_until(loaded, "the server to read its configuration again", timeout=10)
    if refused:
        raise RelevoError(f"The server does not take its configuration: {refused}. Correct that, then run this again.")


def work(module: AnsibleModule) -> dict[str, Any]:
    server = Server(_names.data_directory(module.params["version"]))
    changed, diff = adopt(server, module.params["hba"], module.params["ident"], module.check_mode)
    return {"changed": bool(changed), "changed_paths": changed, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "hba": {"type": "str", "required": True},
            "ident": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

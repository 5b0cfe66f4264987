#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_start_guard
short_description: Install the check that stands before PostgreSQL's start
version_added: 0.1.0
description:
  - Installs the start guard of a node. Before PostgreSQL comes up as a primary, whoever starts it, the guard looks for
    a fence marker and asks the other servers and the repository host whether another server was promoted.
  - The guard is a small Python package under C(/etc/relevo/lib) with its configuration C(/etc/relevo/guard.json). Both
    are written, and what an older version left is removed, in one task. No running server is touched.
author: The Relevo authors (@relevo)
options:
  node:
    description: The inventory name of this node.
    type: str
    required: true
  peers:
    description: The servers of the cluster to ask; an entry for O(node) itself is left out.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The node's inventory name.
        type: str
        required: true
      host:
        description: The name or address under which this node reaches it. The node's name when omitted.
        type: str
      port:
        description: The port of PostgreSQL at O(peers[].host).
        type: int
        default: 5432
  stanza:
    description: The cluster's pgBackRest stanza.
    type: str
    default: main
  repository:
    description: Whether the cluster has a pgBackRest repository that can be asked from this node.
    type: bool
    default: true
  isolated:
    description:
      - What to do while no witness can be reached. V(wait) asks again until one answers, V(start) starts the server.
      - With neither O(peers) nor O(repository) the server starts in any case.
    type: str
    choices: [wait, start]
    default: wait
  timeout:
    description: Seconds for the question to each peer. The repository is given ten seconds.
    type: float
    default: 4
  state:
    description: The guard cannot be uninstalled, since PostgreSQL's service does not start without it.
    type: str
    choices: [present]
    default: present
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the files that change.
    support: full
"""

EXAMPLES = r"""
- name: Install the start guard
  relevo.postgres.pg_start_guard:
    node: postgres_master
    peers:
      - name: postgres_slave
    repository: true
"""

RETURN = r"""
changed_paths:
  description: What was, or in check mode would be, written or removed.
  returned: success
  type: list
  elements: str
"""

import inspect
import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import (
    _address,
    _durable,
    _errors,
    _given_up,
    _lsn,
    _marker,
    _names,
    _server,
    _session,
    _start_guard,
    _topology,
    _wait,
)
from ansible_collections.relevo.postgres.plugins.module_utils._arguments import NODE_OPTIONS
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module

LIBRARY = _names.CONFIG_DIR / "lib"
PACKAGE = LIBRARY / "relevo"
SOURCES = (
    _address,
    _durable,
    _errors,
    _given_up,
    _lsn,
    _marker,
    _names,
    _server,
    _session,
    _start_guard,
    _topology,
    _wait,
)


def wanted_files(parameters):
    entries = [Entry(directory, None, "root", "root", 0o755) for directory in (LIBRARY, PACKAGE)]
    files = {"__init__.py": '"""Installed by relevo.postgres.pg_start_guard: edits are lost."""\n'}
    files |= {f"{source.__name__.rpartition('.')[2]}.py": inspect.getsource(source) for source in SOURCES}
    # The guard itself last: with it in place the service goes on to start it.
    names = sorted(files, key=lambda name: (name == "_start_guard.py", name))
    config = {
        "node": parameters["node"],
        "peers": [peer for peer in parameters["peers"] if peer["name"] != parameters["node"]],
        "stanza": parameters["stanza"],
        "repository": parameters["repository"],
        "isolated": parameters["isolated"],
        "timeout_s": parameters["timeout"],
    }
    text = json.dumps(config, indent=1, sort_keys=True) + "\n"
    entries.append(Entry(_start_guard.GUARD_CONFIG, text, "postgres", "postgres", 0o640))
    return entries + [Entry(PACKAGE / name, files[name], "root", "root", 0o644) for name in names]


def stale_files(entries):
    kept = {entry.path for entry in entries}
    return sorted(path for path in PACKAGE.glob("*.py") if path not in kept)


def difference(path, before, after):
    return {"before_header": str(path), "after_header": str(path), "before": before, "after": after}


def work(module):
    entries = wanted_files(module.params)
    changed = [entry for entry in entries if entry.differs()]
    stale = stale_files(entries)
    diffs = [difference(entry.path, entry.current() or "", entry.content or "") for entry in changed]
    diffs += [difference(path, path.read_text(), "") for path in stale]
    if not module.check_mode:
        for entry in changed:
            entry.write()
        for path in stale:
            Path(path).unlink()
    paths = [str(entry.path) for entry in changed] + [str(path) for path in stale]
    return {"changed": bool(paths), "changed_paths": paths, "diff": diffs}


def main():
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "peers": {"type": "list", "elements": "dict", "default": [], "options": NODE_OPTIONS},
            "stanza": {"type": "str", "default": "main"},
            "repository": {"type": "bool", "default": True},
            "isolated": {"type": "str", "choices": ["wait", "start"], "default": "wait"},
            "timeout": {"type": "float", "default": 4},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

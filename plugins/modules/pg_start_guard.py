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
    are written in one task. A new version stands beside the one that it replaces until it is complete, so that a server
    may start at any moment; older versions are removed. No running server is touched.
  - It cannot be uninstalled, since PostgreSQL's service does not start without it.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.node
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the files that change.
options:
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

import json
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

# Imported so that Ansible packs it, and all that it imports, with this module.
from ansible_collections.relevo.postgres.plugins.module_utils import (  # pylint: disable=unused-import
    _guard_files,
    _names,
    _start_guard,  # noqa: F401
)
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import NODE_OPTIONS
from ansible_collections.relevo.postgres.plugins.module_utils._server.guard_config import GUARD_CONFIG

PACKAGE = _names.CONFIG_DIR / "lib" / "relevo"


def config_entry(parameters: dict[str, Any]) -> Entry:
    config = {
        "node": parameters["node"],
        "peers": [peer for peer in parameters["peers"] if peer["name"] != parameters["node"]],
        "stanza": parameters["stanza"],
        "repository": parameters["repository"],
        "isolated": parameters["isolated"],
        "timeout_s": parameters["timeout"],
    }
    text = json.dumps(config, indent=1, sort_keys=True) + "\n"
    return Entry(GUARD_CONFIG, text, "postgres", "postgres", 0o640)


def difference(path: Path, before: str, after: str) -> dict[str, str]:
    return {"before_header": str(path), "after_header": str(path), "before": before, "after": after}


def work(module: AnsibleModule) -> dict[str, Any]:
    sources = _guard_files.closure()
    entries = [config_entry(module.params), *_guard_files.guard_entries(PACKAGE, sources)]
    changed = [entry for entry in entries if entry.differs()]
    diffs = [difference(entry.path, entry.current() or "", entry.content or "") for entry in changed]
    if not module.check_mode:
        for entry in changed:
            entry.write()
    stale = _guard_files.stale_paths(PACKAGE, sources)
    diffs += [difference(path, path.read_text() if path.is_file() else "a folder\n", "") for path in stale]
    if not module.check_mode:
        for path in stale:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    paths = [str(entry.path) for entry in changed] + [str(path) for path in stale]
    return {"changed": bool(paths), "changed_paths": paths, "diff": diffs}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "peers": {"type": "list", "elements": "dict", "default": [], "options": NODE_OPTIONS},
            "stanza": {"type": "str", "default": "main"},
            "repository": {"type": "bool", "default": True},
            "isolated": {"type": "str", "choices": ["wait", "start"], "default": "wait"},
            "timeout": {"type": "float", "default": 4},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

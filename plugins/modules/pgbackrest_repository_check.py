#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_repository_check
short_description: Refuse a configuration that would lose the repository
version_added: 0.1.0
description:
  - Asks pgBackRest what it finds with the configuration of this host, and with the one that is to replace it, where
    the two differ in what makes the repository (its place, its encryption).
  - Fails when stanzas cannot be opened any more, and when what they hold would be left behind. Changes nothing.
  - Runs on the repository host.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  content:
    description: The text of the new configuration.
    type: str
    required: true
  stanzas:
    description: The stanzas of the repository.
    type: list
    elements: str
    required: true
  config:
    description: pgBackRest's configuration file.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
  left_path:
    description: The path of a repository that its owner leaves behind, with all that it holds.
    type: str
    default: ''
  timeout:
    description: Seconds that pgBackRest may take for each answer.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: The repository is still the same
  relevo.postgres.pgbackrest_repository_check:
    content: "{{ lookup('ansible.builtin.template', 'pgbackrest.conf.j2') }}"
    stanzas: [main]
  no_log: true
"""

RETURN = r"""
asked:
  description: Whether the two configurations differ in what makes the repository, so that pgBackRest was asked.
  returned: success
  type: bool
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._durable import write_file
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.change import Seen, check, is_another
from ansible_collections.relevo.postgres.plugins.module_utils._repository.fence_record import FOLDER
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    PgBackRest,
    repository_directory,
)


def fenced_by(text: str) -> list[str]:
    """The nodes of which the repository of a configuration has a fence record."""
    try:
        folder = repository_directory(text) / FOLDER
    except RelevoError:
        # A bucket has no place for one.
        return []
    return sorted(path.stem for path in folder.glob("*.json") if path.read_text().strip())


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    config = Path(params["config"])
    before = config.read_text() if config.exists() else ""
    if not before or not is_another(before, params["content"]):
        return {"changed": False, "asked": False}
    # For postgres, as whom pgBackRest runs; it holds the pass phrase.
    with TemporaryDirectory(prefix="relevo-") as folder:
        Path(folder).chmod(0o711)
        trial = Path(folder, "pgbackrest.conf")
        write_file(trial, params["content"])
        seen = {
            stanza: (
                Seen.of(PgBackRest(stanza, config).info(params["timeout"]), stanza),
                Seen.of(PgBackRest(stanza, trial).info(params["timeout"]), stanza),
            )
            for stanza in params["stanzas"]
        }
    check(before, params["content"], seen, params["left_path"], fenced_by(before))
    return {"changed": False, "asked": True}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True, "no_log": True},
            "stanzas": {"type": "list", "elements": "str", "required": True},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "left_path": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

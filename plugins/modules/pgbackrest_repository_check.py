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
  - Fails, too, when this release of pgBackRest could not reach the servers by the addresses that they have.
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
  version:
    description:
      - What C(pgbackrest version) says. One before 2.53 finds no address of IPv6 in a certificate, so a configuration
        with one is refused. Empty where nobody knows.
    type: str
    default: ''
  second_mount:
    description: Where a file system must be mounted, since the second repository is on it.
    type: str
    default: ''
  second:
    description: Whether the new configuration is one of two repositories, so that each of them is looked at alone.
    type: bool
    default: false
  kept:
    description:
      - The clusters whose servers the play does not configure. A second repository that they may archive to is not
        given up.
    type: list
    elements: str
    default: []
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

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.shared_file import stanzas_in
from ansible_collections.relevo.postgres.plugins.module_utils._durable import write_file
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.alone import alone
from ansible_collections.relevo.postgres.plugins.module_utils._repository.change import NAMES, Seen, check, is_another
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import (
    FIRST,
    SECOND,
    repositories,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.configuration import require_names
from ansible_collections.relevo.postgres.plugins.module_utils._repository.fence_record import FOLDER
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    PgBackRest,
    repository_directory,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import require_mounted


def fenced_by(text: str) -> list[str]:
    """The nodes of which the repository of a configuration has a fence record."""
    try:
        folder = repository_directory(text) / FOLDER
    except RelevoError:
        # A bucket has no place for one.
        return []
    return sorted(path.stem for path in folder.glob("*.json") if path.read_text().strip())


def compare(module: AnsibleModule, repository: int, before: str, after: str) -> bool:
    """Refuse a configuration that would lose one repository; returns whether pgBackRest had to be asked.

    ``before``: what the file that knows this repository says, which pgBackRest is asked with as it stands.
    """
    params = module.params
    if not is_another(before, after):
        return False
    # For postgres, as whom pgBackRest runs; it holds the pass phrase.
    with TemporaryDirectory(prefix="relevo-") as folder:
        Path(folder).chmod(0o711)
        trial = Path(folder, "pgbackrest.conf")
        write_file(trial, after)
        seen = {
            stanza: (
                Seen.of(PgBackRest(stanza, params["config"], repository).info(params["timeout"])),
                Seen.of(PgBackRest(stanza, trial).info(params["timeout"])),
            )
            for stanza in params["stanzas"]
        }
    # The records of fences are in the first one.
    fenced = fenced_by(before) if repository == FIRST else []
    check(before, after, seen, params["left_path"], fenced, NAMES[repository])
    return True


def require_told(kept: Collection[str]) -> None:
    """Refuse to give up a second repository that the servers of these clusters go on archiving to."""
    if kept:
        raise RelevoError(
            "The inventory has no second repository any more (pgbackrest_repo2_type), but the servers of "
            f"{' and '.join(sorted(kept))}, which this run leaves as they are, may archive to it and would keep the "
            "WAL that it does not take. Nothing was changed. Run site.yml for all clusters of this repository host, or "
            "leave pgbackrest_repo2_type as it was until then."
        )


def work(module: AnsibleModule) -> dict[str, Any]:
    config, after = Path(module.params["config"]), module.params["content"]
    before = config.read_text() if config.exists() else ""
    require_names(after, module.params["version"])
    require_mounted(module.params["second_mount"])
    had, several = SECOND in repositories(config), module.params["second"]
    asked = False
    if before:
        # What its owner says of others in pgBackRest's own words is his own.
        present, wanted = alone(before, FIRST) if had else before, alone(after, FIRST) if several else after
        asked = compare(module, FIRST, present, wanted)
    if had and not several:
        require_told(stanzas_in(before, module.params["kept"]))
    # One that is given up stays where it is, and loses nothing.
    if had and several:
        asked |= compare(module, SECOND, alone(before, SECOND), alone(after, SECOND))
    return {"changed": False, "asked": asked}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True, "no_log": True},
            "stanzas": {"type": "list", "elements": "str", "required": True},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "left_path": {"type": "str", "default": ""},
            "version": {"type": "str", "default": ""},
            "second_mount": {"type": "str", "default": ""},
            "second": {"type": "bool", "default": False},
            "kept": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

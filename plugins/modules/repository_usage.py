#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a backup repository takes on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_usage
short_description: Measure a backup repository on disk
version_added: 0.1.0
description:
  - Adds up the files below a directory, for each directory down to a depth, and asks how much is free.
  - A file that goes away meanwhile, as when pgBackRest expires a backup, is not counted.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  path:
    description: The directory.
    type: path
    default: /var/lib/pgbackrest
  depth:
    description: How many levels of directories to list. Three show each backup of each stanza.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Measure the repository
  relevo.postgres.repository_usage:
  register: usage
"""

RETURN = r"""
path:
  description: The directory.
  type: str
  returned: success
bytes:
  description: Disk space that all files below the directory take.
  type: int
  returned: success
files:
  description: How many files there are.
  type: int
  returned: success
free:
  description: Bytes that an unprivileged user can still write to the file system.
  type: int
  returned: success
capacity:
  description: Bytes of the file system.
  type: int
  returned: success
directories:
  description: The directories, each with C(path) (relative), C(bytes) and C(files) of all that is below it.
  type: list
  elements: dict
  returned: success
"""

import os
import stat
from pathlib import Path, PurePath
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


def measure(path: str, depth: int) -> dict[str, list[int]]:
    """Return bytes and number of files by relative directory; the directory itself is ``.``."""
    found: dict[str, list[int]] = {".": [0, 0]}
    for folder, _folders, names in os.walk(path):
        parts = PurePath(os.path.relpath(folder, path)).parts[:depth]
        parents = [".", *(str(PurePath(*parts[: at + 1])) for at in range(len(parts)))]
        for parent in parents:
            found.setdefault(parent, [0, 0])
        for name in names:
            try:
                state = Path(folder, name).lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(state.st_mode):
                for parent in parents:
                    found[parent][0] += state.st_blocks * 512
                    found[parent][1] += 1
    return found


def work(module: AnsibleModule) -> dict[str, Any]:
    path = module.params["path"]
    if not Path(path).is_dir():
        raise RelevoError(f"There is no directory {path} on this host. Name the repository's path.")
    found = measure(path, module.params["depth"])
    system = os.statvfs(path)
    total = found.pop(".")
    return {
        "changed": False,
        "path": path,
        "bytes": total[0],
        "files": total[1],
        "free": system.f_bavail * system.f_frsize,
        "capacity": system.f_blocks * system.f_frsize,
        "directories": [{"path": name, "bytes": size, "files": files} for name, (size, files) in sorted(found.items())],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": str(_names.REPOSITORY_DIR)},
            "depth": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()

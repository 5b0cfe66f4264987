#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_password
short_description: Give a Redis that runs another password, without a restart
version_added: 0.1.0
description:
  - With O(keep=true) Redis accepts O(password) beside those that it has, so that nobody is refused while clients change
    over. Without it, Redis and its configuration file have O(password) only.
  - Connections that stand go on.
  - Runs on the node of Redis.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  port:
    description: The port of Redis on this node.
    type: int
    default: 6379
  password:
    description: The new password.
    type: str
    required: true
  known:
    description: Passwords that Redis may have instead.
    type: list
    elements: str
    default: []
  keep:
    description: Whether the others are accepted, too.
    type: bool
    default: false
  config:
    description: The configuration file. Needed without O(keep).
    type: path
  directive:
    description: The line of the configuration file that sets the password. Needed without O(keep).
    type: str
  timeout:
    description: Seconds within which Redis must answer.
    type: float
    default: 5
requirements:
  - redis
"""

EXAMPLES = r"""
- name: Let Redis accept both passwords
  relevo.postgres.redis_password:
    known: ["{{ old }}"]
    password: "{{ new }}"
    keep: true
"""

RETURN = r"""
both:
  description: Whether Redis accepts other passwords, too.
  returned: success
  type: bool
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    RedisError,
    connected,
)
from ansible_collections.relevo.postgres.plugins.module_utils._durable import replace_file
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import reading

DIRECTIVE = re.compile(r"^requirepass .*$", re.MULTILINE)


def accepted(where: Mapping[str, Any], passwords: Sequence[str]) -> tuple[str, list[str]]:
    """The first of these passwords that Redis takes, and the SHA-256 of all that it takes."""
    refusal: RedisError | None = None
    for password in passwords:
        try:
            with connected({**where, "password": password}) as client:
                return password, list(client.acl_getuser("default")["passwords"])
        except RedisError as error:
            if error.kind == "unavailable":
                raise
            refusal = refusal or error
    raise refusal or RelevoError("No password was given.")


def with_directive(text: str, directive: str) -> str:
    """The configuration with another line for the password. Raises RelevoError where it has none."""
    changed, count = DIRECTIVE.subn(lambda _found: directive, text)
    if count != 1:
        raise RelevoError(f"The configuration of Redis has {count} lines with requirepass, not 1. Run site.yml first.")
    return changed


def write(path: Path, directive: str, check_mode: bool) -> bool:
    wanted = with_directive(path.read_text(), directive)
    if wanted == path.read_text():
        return False
    if not check_mode:
        found = path.stat()
        replace_file(path, wanted, found.st_mode & 0o7777, (found.st_uid, found.st_gid))
    return True


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    where = {"host": "127.0.0.1", "port": params["port"], "db": 0, "timeout": params["timeout"]}
    password = params["password"]
    current, hashes = accepted(where, [password, *params["known"]])
    ours = hashlib.sha256(password.encode()).hexdigest()
    changed = ours not in hashes if params["keep"] else hashes != [ours]
    reader, owed = reading.READERS["redis"], False
    if not params["keep"]:
        config = Path(params["config"])
        owed = reading.owed(reader, [config])
        changed = write(config, params["directive"], module.check_mode) or changed
    if changed and not module.check_mode:
        with connected({**where, "password": current}) as client:
            if params["keep"]:
                # Not by the library's own function, which switches the user off unless it is told not to.
                client.execute_command("ACL", "SETUSER", "default", f">{password}")
            else:
                client.config_set("requirepass", password)
        if not params["keep"] and not owed:
            # It knows what the file says, so that the next site.yml has no reason to restart it.
            reading.note_that_it_knows(reader)
    return {"changed": changed, "both": params["keep"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int", "default": _names.REDIS_PORT},
            "password": {"type": "str", "required": True, "no_log": True},
            "known": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "keep": {"type": "bool", "default": False},
            "config": {"type": "path"},
            "directive": {"type": "str", "no_log": True},
            "timeout": {"type": "float", "default": 5},
        },
        required_if=[("keep", False, ("config", "directive"))],
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()

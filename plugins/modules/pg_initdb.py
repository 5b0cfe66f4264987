#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_initdb
short_description: Make the data directory of a new cluster
version_added: 0.1.0
description:
  - Runs C(initdb) with data checksums, SCRAM for the network and peer for the socket, and starts the server.
  - The directory is made under another name and renamed, so a run that was cut off leaves nothing that could start.
  - Does nothing where a data directory is.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Says whether a cluster would be made.
  diff_mode:
    support: none
options:
  locale:
    description: The locale of the cluster, of PostgreSQL's built-in provider.
    type: str
    default: C.UTF-8
  timeout:
    description: Seconds to wait until the new server takes writes.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Make the cluster on the preferred primary
  relevo.postgres.pg_initdb:
    service_manager: runit
"""

RETURN = r"""
system_identifier:
  description: The cluster's system identifier.
  returned: success, except in check mode before the cluster exists
  type: str
"""

import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._durable import sync_directory
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR

#: The first major version with a provider of its own, whose order of texts no upgrade of the system changes.
BUILTIN_PROVIDER_SINCE = 17


def locale_options(version: int, locale: str) -> list[str]:
    """How ``initdb`` is told of the locale: an older one takes that of the system's library."""
    if version < BUILTIN_PROVIDER_SINCE:
        return ["--locale-provider=libc", f"--locale={locale}"]
    return ["--locale-provider=builtin", f"--builtin-locale={locale}", "--locale=C.UTF-8"]


def make_cluster(server: Server, locale: str) -> None:
    unfinished = server.pgdata.with_name(server.pgdata.name + ".initdb")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    server.pgdata.parent.mkdir(parents=True, exist_ok=True)
    shutil.chown(server.pgdata.parent, "postgres", "postgres")
    command = [
        str(server.bin_directory / "initdb"),
        f"--pgdata={unfinished}",
        "--data-checksums",
        "--encoding=UTF8",
        *locale_options(server.version, locale),
        "--auth-local=peer",
        "--auth-host=scram-sha-256",
        "--username=postgres",
    ]
    done = _process.run(command, timeout=300)
    if done.returncode:
        raise RelevoError(f"initdb failed: {done.stderr.strip()}", rc=done.returncode, stdout=done.stdout)
    if server.pgdata.exists():
        # Debian's package leaves an empty directory; one that holds anything makes rmdir fail.
        server.pgdata.rmdir()
    unfinished.rename(server.pgdata)
    sync_directory(server.pgdata.parent)


def work(module: AnsibleModule) -> dict[str, Any]:
    server = Server()
    created = not server.initialised
    if created and module.check_mode:
        return {"changed": True}
    if created:
        make_cluster(server, module.params["locale"])
        # A new cluster has no peer yet whom the start guard could ask.
        marker.write_start_pass()
        service_for(module.params["service_manager"]).start()
        server.wait_ready(module.params["timeout"], standby=False)
    return {"changed": created, "system_identifier": server.control_data().system_identifier}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "locale": {"type": "str", "default": "C.UTF-8"},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    # To wait until the new server takes writes.
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load SQL files into databases exactly once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_seed
short_description: Load SQL files into databases exactly once
version_added: "0.1.0"
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Says which files would be loaded. A database that does not exist is a warning then.
  diff_mode:
    support: full
    details: Shows the names of the loaded files by database.
description:
  - Loads plain or gzipped SQL files and archives of C(pg_dump) (custom or tar format) into databases of the server on
    this node. Large objects may be among them.
  - A file and the record that it is loaded (a row of the table C(relevo_seed.loaded) in the same database) are
    one transaction. Whatever is killed meanwhile, both are there or neither.
  - A file whose name is recorded is not loaded again, not even when its content changed; that is worth a warning.
  - Loads into one database run one after the other.
options:
  files:
    description:
      - The files, loaded in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Path of the file on the machine on which the module runs. Not needed for O(state=facts).
          - The content decides whether it is gzipped, not the suffix.
        type: path
      database:
        description:
          - The database that gets the file. It must exist.
        type: str
        required: true
      name:
        description:
          - The file's identity in the database. The default is the last part of O(files[].path).
        type: str
      owner:
        description:
          - Role that runs the file's statements, and so owns what it makes, by C(SET ROLE).
          - V(pg_database_owner) means the owner of the database.
          - The default is O(login_user). Dumps that set owners themselves need that.
        type: str
      sha256:
        description:
          - SHA-256 digest of the file, to tell a changed file without its content. See O(state=digest).
        type: str
  state:
    description:
      - V(loaded) loads what is not loaded yet.
      - V(facts) only asks the databases what is loaded, and changes nothing.
      - V(digest) only reads the files, asks no database, and so can run on the controller. It fails for a file that
        is missing, empty, or of a format that cannot be loaded. One that C(ansible-vault) has encrypted is decrypted on
        the controller, and the digest is that of its text.
    type: str
    choices: [loaded, facts, digest]
    default: loaded
  copies_directory:
    description:
      - Directory on the node with copies of the files, each named by its O(files[].sha256).
        They are read instead of O(files[].path).
    type: path
  bin_dir:
    description:
      - Directory of C(psql) and C(pg_restore). By default that of the major version for which this node is configured.
    type: path
  login_unix_socket:
    description:
      - Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  port:
    description:
      - Port of the server.
    type: int
    default: 5432
  login_user:
    description:
      - Role that logs in. It needs the right to create a schema and temporary tables, and to become O(files[].owner).
    type: str
    default: postgres
  os_user:
    description:
      - System user that runs C(psql) and C(pg_restore) when the module runs as root.
    type: str
    default: postgres
  timeout:
    description:
      - Seconds that one file may take, including the wait for another load into the same database.
    type: int
    default: 14400
notes:
  - The files must not hold C(COMMIT), C(ROLLBACK) or C(\connect), or statements that cannot run in a transaction,
    such as C(VACUUM). That is detected and nothing is loaded then. The transaction that C(pg_dump) writes around large
    objects is taken out.
  - A dump of a seeded database holds the records, too, and can be loaded into a database that has none.
seealso:
  - name: psql
    description: The client that runs the files.
    link: https://www.postgresql.org/docs/current/app-psql.html
"""

EXAMPLES = r"""
- name: Load a dump that is on the node
  relevo.postgres.pg_seed:
    files:
      - path: /srv/dumps/imdb.sql.gz
        database: imdb
        owner: pg_database_owner

- name: Ask what is not loaded yet
  relevo.postgres.pg_seed:
    state: facts
    files:
      - name: imdb.sql.gz
        database: imdb
  register: seeds
"""

RETURN = r"""
files:
  description: The files in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Identity of the file.
      type: str
    database:
      description: Its database.
      type: str
    path:
      description: Its path as given; absolute after O(state=digest).
      type: str
    owner:
      description: The role as given.
      type: str
    sha256:
      description: Digest of what was loaded, now or earlier; otherwise the digest as given or found.
      type: str
    present:
      description: Whether the database holds it at the end of the task. Not with O(state=digest).
      type: bool
    loaded:
      description: Whether this task loaded it (in check mode, would). Not with O(state=digest).
      type: bool
    loaded_at:
      description: When it was loaded.
      type: str
    seconds:
      description: How long the load took. Zero when this task did not load it.
      type: float
missing:
  description: The files that are not in their database, in a form that O(files) takes. Not with O(state=digest).
  returned: success
  type: list
  elements: dict
described:
  description: The files with absolute path and digest, in a form that O(files) takes. Only with O(state=digest).
  returned: success
  type: list
  elements: dict
records:
  description: All that the databases named have recorded, by database.
  returned: success, not with O(state=digest)
  type: dict
  sample:
    imdb:
      - name: imdb.sql.gz
        sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8
        bytes: 181234
        loaded_at: "2025-10-09T04:07:19.123456+00:00"
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names, _seed
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import bin_directory
from ansible_collections.relevo.postgres.plugins.module_utils._server.installation import configured_version

ARGUMENTS: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path"},
            "database": {"type": "str", "required": True},
            "name": {"type": "str"},
            "owner": {"type": "str"},
            "sha256": {"type": "str"},
        },
    },
    "state": {"type": "str", "choices": ["loaded", "facts", "digest"], "default": "loaded"},
    "copies_directory": {"type": "path"},
    "bin_dir": {"type": "path"},
    "login_unix_socket": {"type": "path", "default": str(_names.SOCKET_DIR)},
    "port": {"type": "int", "default": _names.PORT},
    "login_user": {"type": "str", "default": "postgres"},
    "os_user": {"type": "str", "default": "postgres"},
    "timeout": {"type": "int", "default": 14400},
}


def path_of(seed: _seed.Seed, copies: str | None) -> str:
    """Return where the file's content is on this node."""
    if copies is not None and seed.sha256 is not None:
        return str(Path(copies, seed.sha256))
    if seed.path is None:
        raise RelevoError(f"The seed file {seed.name} is not loaded yet and has no path. Give its path on this node.")
    return seed.path


def recorded(
    module: AnsibleModule, server: _seed.PsqlTarget, seeds: list[_seed.Seed], owners: dict[str, str]
) -> dict[str, Any]:
    """Return the records by database and name; in check mode a database may yet have to be made."""
    found: dict[str, Any] = {}
    for database in dict.fromkeys(seed.database for seed in seeds):
        if database in owners:
            found[database] = _seed.records(server, database)
        elif module.check_mode:
            module.warn(_seed.missing_database_message(database))
            found[database] = {}
        else:
            raise RelevoError(_seed.missing_database_message(database))
    return found


def work(module: AnsibleModule) -> dict[str, Any]:
    """Do what O(state) says."""
    parameters = module.params
    seeds = _seed.seeds_from(parameters["files"])
    if parameters["state"] == "digest":
        entries = [_seed.as_entry(_seed.described(seed)) for seed in seeds]
        return {"changed": False, "files": entries, "described": entries}

    server = _seed.PsqlTarget(
        bin_dir=parameters["bin_dir"] or str(bin_directory(configured_version())),
        socket=parameters["login_unix_socket"],
        port=parameters["port"],
        login_user=parameters["login_user"],
        os_user=parameters["os_user"],
    )
    owners = _seed.database_owners(server)
    found = recorded(module, server, seeds, owners)
    before = {database: list(names) for database, names in found.items()}
    results: list[dict[str, Any]] = []
    for seed in seeds:
        record = found[seed.database].get(seed.name)
        result = {
            **_seed.as_entry(seed),
            "present": record is not None,
            "loaded": False,
            "loaded_at": None,
            "seconds": 0.0,
        }
        if record is None and parameters["state"] == "loaded":
            result["loaded"] = True
            if module.check_mode:
                found[seed.database][seed.name] = {"name": seed.name}
            else:
                source = path_of(seed, parameters["copies_directory"])
                done = _seed.load(server, seed, source, owners, parameters["timeout"])
                # None: another run loaded it while this one waited for the lock.
                result.update(loaded=done is not None, present=True, seconds=done["seconds"] if done else 0.0)
                found[seed.database] = _seed.records(server, seed.database)
                record = found[seed.database][seed.name]
        if record is not None:
            warning = _seed.changed_since(seed, record)
            if warning is not None:
                module.warn(warning)
            result.update(sha256=record["sha256"], loaded_at=record["loaded_at"])
        results.append(result)
    after = {database: list(names) for database, names in found.items()}
    return {
        "changed": any(result["loaded"] for result in results),
        "files": results,
        "missing": [_seed.as_entry(seed) for seed, result in zip(seeds, results, strict=True) if not result["present"]],
        "records": {database: list(names.values()) for database, names in found.items()},
        "diff": {"before": before, "after": after},
    }


def main() -> None:
    """Run the module."""
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), work)


if __name__ == "__main__":
    main()

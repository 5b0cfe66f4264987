#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_archive_gap
short_description: Push what the archive lacks and the primary still has
version_added: 0.1.0
description:
  - Runs on the primary's node after a hand-over. Compares the archive with the histories of the timelines before the
    current one and pushes every whole segment that is missing and that this node still has.
  - Of the current timeline it pushes what the server takes for archived and the archive has not, since pgBackRest
    drops WAL with C(archive-push-queue-max) and says that it was archived.
  - Waits until the history of the current timeline is archived, and archives it where it is missing. The server itself
    archives it once, when it is promoted, so an archive that began anew since then has none, and nothing leads to it.
  - Of two repositories each gets what it lacks. One that is away is named in a warning and in RV(away), and gets it
    when this is run again.
  - Without it a restore to the latest point would silently miss the rows of those segments.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Says which segments it would push.
  diff_mode:
    support: none
options:
  stanza:
    description: The cluster's stanza.
    type: str
    required: true
  timeout:
    description: Seconds for the questions to the repository, and for each segment.
    type: float
    default: 60
seealso:
  - module: relevo.postgres.pg_promote
"""

EXAMPLES = r"""
- name: Close the gap in the archive
  relevo.postgres.pg_archive_gap:
    stanza: main
  delegate_to: postgres_slave
"""

RETURN = r"""
pushed:
  description: The segments, and the history file, that were missing and are, or in check mode would be, archived.
  returned: success
  type: list
  elements: str
lost:
  description:
    - The segments of the timelines before the current one that are missing for good. A restore cannot pass them; a new
      full backup is needed at once.
  returned: success
  type: list
  elements: str
lost_in:
  description: The numbers of the repositories that miss RV(lost), or some of it.
  returned: success
  type: list
  elements: int
away:
  description: The repositories of several that could not be asked, and why.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_gap import ArchiveGap
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def work(module: AnsibleModule) -> dict[str, Any]:
    with Session.local() as session:
        if session.flag("SELECT pg_is_in_recovery()"):
            raise RelevoError("This node is a standby. The gap in the archive is closed by the primary.")
        timeline = int(session.value("SELECT timeline_id FROM pg_control_checkpoint()"))
    closed = ArchiveGap(module.params["stanza"], module.params["timeout"]).close(timeline, module.check_mode)
    for one in closed.away:
        module.warn(f"{one.sentence} Its gap is closed when this is run again.")
    return {
        "changed": bool(closed.pushed),
        "pushed": list(closed.pushed),
        "lost": list(closed.lost),
        "lost_in": list(closed.lost_in),
        "away": [one.as_dict() for one in closed.away],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()

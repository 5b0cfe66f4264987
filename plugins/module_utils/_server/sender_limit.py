# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many WAL senders and replication slots the servers of a cluster get: the same on each, which may be primary."""

from __future__ import annotations

#: PostgreSQL's own default, and the step in which the limit grows: a change needs a restart.
STEP = 10
#: WAL senders of a standby that is copied: one that sends the files, one for the WAL meanwhile (pg_basebackup).
SENDERS_OF_A_COPY = 2


def sender_limit(nodes: int) -> int:
    """``max_wal_senders`` and ``max_replication_slots`` for a cluster of so many nodes, all of its standbys copied at
    once."""
    wanted = SENDERS_OF_A_COPY * (nodes - 1)
    return max(STEP, -(-wanted // STEP) * STEP)

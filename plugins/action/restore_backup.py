# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module restore_backup on its node, which may go away in the middle of it."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.plugin_utils._node_action import NodeAction


class ActionModule(NodeAction):
    """See plugins/modules/restore_backup.py."""

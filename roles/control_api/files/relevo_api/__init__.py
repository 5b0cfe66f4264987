# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API of relevo.postgres: it starts the collection's playbooks and reads their JSON, and decides nothing.

It imports no plugin of the collection: the one arrow between the two is a process.
"""

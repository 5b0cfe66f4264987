# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load once, before a play forks, what each of its workers would load again.

Ansible forks a process for each task and host, and only that process loads the connection and the action. Docker's
client alone takes longer there than all the rest of a short task: 0.24 of 0.28 s of CPU were measured, for each task
and host. What the parent has loaded its workers have by being forked.
"""

from __future__ import annotations

import functools

from ansible.plugins.loader import action_loader, connection_loader, test_loader

CONNECTIONS = ("community.docker.docker_api", "ansible.builtin.ssh")


@functools.cache
def preload() -> None:
    """Load them; one that is not installed is left out, and missed where it is used."""
    for name in CONNECTIONS:
        connection_loader.get(name, class_only=True)
    action_loader.get("ansible.builtin.normal", class_only=True)
    # One of them loads all.
    test_loader.get("ansible.builtin.match")

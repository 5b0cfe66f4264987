# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that chooses between the kinds of nodes: what an action can do with a node that is down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container, offline_node

DOCKER = "docker"


def kind_of(variables: Mapping[str, Any]) -> str:
    return str(variables.get("node_kind", "ssh"))


def containers(names: Sequence[str]) -> dict[str, container.ContainerNode]:
    """The nodes of these names, which are containers of this machine's engine."""
    if names and container.DOCKER_IMPORT_ERROR:
        raise RelevoError(
            "The Python package docker is missing on the controller. Install requirements.txt.",
            exception=container.DOCKER_IMPORT_ERROR,
        )
    return {name: container.ContainerNode(container.engine(), name) for name in names}


def offline_node_of(name: str, kind: str, command: Sequence[str] = (), timeout: float = 60) -> offline_node.Node:
    """A node whose own connection is of no use."""
    if kind == DOCKER:
        return containers([name])[name]
    return offline_node.CommandNode(name, command, timeout)

#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a Docker engine needs for the container nodes of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_nodes_plan
short_description: Decide what a Docker engine needs for the container nodes
version_added: 0.1.0
description:
  - Looks at a Docker engine and says, for each node, what has to be done so that its container runs as it should.
  - Fails, before anything is touched, when no engine answers, when there are containers, volumes or a network of the
    same names that Relevo did not make, when a container was made for another major version of PostgreSQL, and when a
    port that is to be published is taken.
  - A stopped container whose node holds a fence marker is left down. One whose node was removed from its cluster is
    refused, unless it is in O(readmitted).
  - A container that was made with other settings is reported as pending, and replaced only with O(recreate=true).
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
requirements:
  - docker (Python package)
options:
  nodes:
    description: The container nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Inventory name, also that of the container.
        type: str
        required: true
      kind:
        description: What runs on it.
        type: str
        choices: [postgres, pgbackrest, redis, haproxy]
        required: true
      cluster:
        description: The cluster it belongs to.
        type: str
        required: true
      published_port:
        description: Port of the engine's host at which people reach the service; none when not given.
        type: int
      published_read_only_port:
        description: The same for the port of the standbys, with O(nodes[].kind=haproxy).
        type: int
      version:
        description:
          - The major version of PostgreSQL. Needed for O(nodes[].kind=postgres) and O(nodes[].kind=pgbackrest) with
            O(state=present).
        type: str
      ports:
        description: What the services listen on, by O(nodes[].kind), where it is not the usual port.
        type: dict
      second_repository:
        description:
          - With O(nodes[].kind=pgbackrest), the C(type), C(path) and C(mount) of its second repository. A
            directory gets a volume. A container that stays and was made without it is refused.
        type: dict
      packages_as_of:
        description: Any word. With another one its image is built anew, with the packages that the sources have then.
        type: str
  state:
    description: Whether the nodes are to be there, or to be removed.
    type: str
    choices: [present, absent]
    default: present
  image_context:
    description: Directory with the images' Dockerfile.
    type: path
    required: true
  base_image:
    description: Name of the image that the node images are built on.
    type: str
    required: true
  network:
    description: Name of the network that connects the nodes.
    type: str
    required: true
  published_address:
    description: Address of the engine's host on which ports are published.
    type: str
    default: 127.0.0.1
  adopt:
    description: Whether to take over objects of the same names that Relevo did not make.
    type: bool
    default: false
  recreate:
    description: Whether to replace containers that were made with other settings.
    type: bool
    default: false
  lose_scratch:
    description:
      - Whether to replace a container that has a scratch instance (M(relevo.postgres.pg_scratch)) which is on none of
        its volumes, and so goes with it. Otherwise that is refused.
    type: bool
    default: false
  readmitted:
    description: Nodes that are added to their cluster again, after they were removed from it.
    type: list
    elements: str
    default: []
  clusters:
    description:
      - By cluster, the nodes that it needs, also those that serve others. Each of these clusters is judged by itself,
        and one that is refused is left out instead of ending all. Without it everything is refused together.
    type: dict
    default: {}
  container_options:
    description: Everything else that the containers are made with. A change of it makes them pending.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Decide what the engine needs
  relevo.postgres.docker_nodes_plan:
    nodes:
      - name: postgres_master
        kind: postgres
        cluster: main
        published_port: 5432
        version: "18"
    image_context: "{{ role_path }}/files/image"
    base_image: debian:trixie-slim
    network: relevo
  register: plan
"""

RETURN = r"""
nodes:
  description:
    - By node, its C(image), the C(fingerprint) of its settings, the C(action) (C(none), C(start), C(create),
      C(recreate)), C(fenced) (stopped, with a fence marker), C(pending) (a sentence, or empty), C(missing_volumes), and
      its C(mounts) and C(published_ports) as Docker takes them.
  type: dict
  returned: O(state=present)
left_out:
  description: The O(clusters) that are left out, each with what it was refused with.
  type: dict
  returned: O(state=present)
left_out_nodes:
  description: The nodes that only those need. RV(nodes) lacks them.
  type: list
  elements: str
  returned: O(state=present)
missing_images:
  description: The node images that have to be built, each with C(kind), C(name) and the C(arguments) of its build.
  type: list
  elements: dict
  returned: O(state=present)
network_present:
  description: Whether the network is there.
  type: bool
  returned: O(state=present)
containers:
  description: The nodes whose container is there and ours.
  type: list
  elements: str
  returned: O(state=absent)
volumes:
  description: By node, the volumes that are there and ours.
  type: dict
  returned: O(state=absent)
network_removable:
  description: Whether the network is ours and no container but those of these nodes is on it.
  type: bool
  returned: O(state=absent)
"""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.left_out import only_theirs
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container, container_plan
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import removed_text
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker, removed_words


def look(client: Any) -> container_plan.Engine:
    """Ask the engine for all that the decisions need."""
    with container.engine_errors("Looking at the Docker engine"):
        return container_plan.Engine.from_api(
            client.api.containers(all=True),
            client.api.volumes()["Volumes"] or [],
            client.api.networks(),
        )


def text_of(node: container.ContainerNode, path: Path) -> str | None:
    """A file of a container, running or not; None where there is none."""
    with node.read_file(str(path)) as stream:
        return None if stream is None else b"".join(stream.chunks).decode(errors="replace")


def missing_images(client: Any, nodes: list[container_plan.Wanted], images: dict[str, str]) -> list[dict[str, Any]]:
    """Return the images that are not there, each once."""
    with container.engine_errors("Listing the images"):
        present = {tag for image in client.api.images(name="relevo/node-*") for tag in image.get("RepoTags") or []}
    missing = {images[node.name]: node for node in nodes if images[node.name] not in present}
    return [{"kind": node.kind, "name": name, "arguments": node.build_arguments()} for name, node in missing.items()]


def work(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    nodes = [container_plan.Wanted.from_dict(node) for node in given["nodes"]]
    client = container.connect()
    engine = look(client)
    if given["state"] == "absent":
        found = container_plan.removal(nodes, engine, given["network"])
        return {
            "changed": False,
            "containers": found.containers,
            "volumes": found.volumes,
            "network_removable": found.network,
        }
    settings = container_plan.Settings(
        network=given["network"],
        address=given["published_address"],
        adopt=given["adopt"],
        recreate=given["recreate"],
        options=given["container_options"],
    )
    context = Path(given["image_context"])
    images = {
        node.name: container_plan.image_tag(node.kind, context, given["base_image"], node.build_arguments())
        for node in nodes
    }

    # Of each node once, however often it is judged.
    @cache
    def is_fenced(name: str) -> bool:
        # One that is added again was asked about its fence before.
        return name not in given["readmitted"] and container.ContainerNode(client, name).read_marker() is not None

    @cache
    def removed(name: str) -> str:
        text = removed_text(container.ContainerNode(client, name))
        return "" if text is None else removed_words(name, Marker.from_json("removed", text))

    @cache
    def version(name: str) -> str:
        return container.ContainerNode(client, name).version()

    @cache
    def scratch_in(node: container_plan.Wanted) -> container_plan.ScratchInstance | None:
        there = container.ContainerNode(client, node.name)
        text = text_of(there, scratch_roots.registry()) or ""
        for root in (scratch_roots.SCRATCH, *scratch_roots.listed(text)):
            name = "" if node.keeps(root) else there.first_with(str(root), scratch_roots.NOTE)
            if name:
                note = text_of(there, root / name / scratch_roots.NOTE) or ""
                return container_plan.ScratchInstance(name, scratch_roots.cluster_in(note) or node.cluster)
        return None

    def is_bound(address: str, port: int) -> bool:
        return container.is_local(client) and container.is_bound(address, port)

    def judge(judged: list[container_plan.Wanted]) -> list[container_plan.Plan]:
        container_plan.refuse_other_versions(judged, engine, version)
        container_plan.refuse_removed(judged, engine, removed, given["readmitted"])
        decided = container_plan.plan(judged, images, engine, settings, is_fenced)
        container_plan.refuse_taken_ports(judged, decided, engine, settings, is_bound)
        container_plan.refuse_unkept_second(judged, decided, engine)
        if not given["lose_scratch"]:
            container_plan.refuse_lost_scratch(judged, decided, scratch_in)
        return decided

    left_out = container_plan.refused_apart(nodes, given["clusters"], judge)
    left_out_nodes = only_theirs(given["clusters"], left_out)
    nodes = [node for node in nodes if node.name not in left_out_nodes]
    plans = judge(nodes)
    return {
        "changed": False,
        "nodes": {plan.name: asdict(plan) for plan in plans},
        "left_out": left_out,
        "left_out_nodes": left_out_nodes,
        "missing_images": missing_images(client, nodes, images),
        "network_present": given["network"] in engine.networks,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "kind": {
                        "type": "str",
                        "choices": ["postgres", "pgbackrest", "redis", "haproxy"],
                        "required": True,
                    },
                    "cluster": {"type": "str", "required": True},
                    "published_port": {"type": "int"},
                    "published_read_only_port": {"type": "int"},
                    "version": {"type": "str"},
                    "ports": {"type": "dict"},
                    "packages_as_of": {"type": "str"},
                    "second_repository": {"type": "dict"},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image_context": {"type": "path", "required": True},
            "base_image": {"type": "str", "required": True},
            "network": {"type": "str", "required": True},
            "published_address": {"type": "str", "default": "127.0.0.1"},
            "adopt": {"type": "bool", "default": False},
            "recreate": {"type": "bool", "default": False},
            "lose_scratch": {"type": "bool", "default": False},
            "readmitted": {"type": "list", "elements": "str", "default": []},
            "clusters": {"type": "dict", "default": {}},
            "container_options": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"docker": container.DOCKER_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()

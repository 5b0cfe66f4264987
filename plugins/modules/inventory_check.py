#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Refuse an inventory that does not describe clusters, and choose those that the play is about
version_added: 0.1.0
description:
  - Looks for empty groups, for clusters without exactly one preferred primary or without a repository host, for nodes
    without a service manager, and for the former variable C(cluster_name).
  - Looks for variables that nobody reads. The names of those that are read come from the C(argument_specs.yml) of the
    collection's roles.
  - A play whose groups are empty would otherwise succeed over "no hosts matched".
  - Runs on the controller and changes nothing. It asks no host, but with O(python).
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  groups:
    description: Groups that must have at least one host.
    type: list
    elements: str
    default: [postgres, pgbackrest]
  cluster:
    description: The cluster that was named, or several with commas between them. Empty when none was.
    type: str
    default: ''
  proxies:
    description:
      - Whether the hosts of the group C(haproxy) are judged, too, as for what configures them. Whatever else is done
        with a cluster does not depend on what stands in front of it.
    type: bool
    default: false
  python:
    description:
      - Whether the machines of the chosen clusters are asked for their Python, and refused when it is older than 3.11,
        on which nothing of this collection runs. Containers are not asked. One that does not answer is passed over.
    type: bool
    default: false
  choice:
    description:
      - With one cluster in the inventory nobody has to name it. With several and none named, V(all) takes all of them,
        V(named) and V(one) refuse and list them.
      - V(one) takes no more than one.
    type: str
    choices: [all, named, one]
    default: all
  names:
    description:
      - What becomes of a variable of a host, or of C(-e), whose name is almost that of one of this collection, such as
        C(pgbackrest_retention_ful). V(refuse) fails, with the name that is meant; V(warn) warns, and V(ignore), which
        is what an emergency wants, does not look.
      - V(refuse) also says, in one warning, which others begin like ours, such as C(postgresql_settings). They may be
        variables of another collection.
    type: str
    choices: [ignore, warn, refuse]
    default: ignore
  others:
    description: Variables that belong to something else, for O(names). Names, or patterns such as C(redis_*).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The inventory describes clusters
  relevo.postgres.inventory_check:
    cluster: "{{ cluster | default('') }}"
    choice: one
  register: found
"""

RETURN = r"""
clusters:
  description: The names of the clusters that the play is about, in the order of the inventory.
  returned: success
  type: list
  elements: str
  sample: [main]
hosts:
  description: All that these clusters need; the nodes, their repository hosts and the hosts of their Redis.
  returned: success
  type: list
  elements: str
needed:
  description: The same by cluster.
  returned: success
  type: dict
  sample: {main: [postgres_master, postgres_slave, pgbackrest, redis]}
only_theirs:
  description: Those of RV(hosts) that no other cluster needs.
  returned: success
  type: list
  elements: str
repositories:
  description: The repository hosts of the chosen clusters, each with the names of those that it serves.
  returned: success
  type: dict
  sample: {pgbackrest: [main]}
servers:
  description: The hosts of the group C(postgres) by cluster, of all clusters of the inventory.
  returned: success
  type: dict
  sample: {main: [postgres_master, postgres_slave]}
all_clusters:
  description: The names of all clusters of the inventory.
  returned: success
  type: list
  elements: str
other_clusters:
  description: Those of them that the play is not about.
  returned: success
  type: list
  elements: str
faults:
  description: What is wrong with the inventory, one sentence or two each.
  returned: failure
  type: list
  elements: str
"""

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of connections that mean another host in a task that is delegated.

Most of our tasks are delegated, from the controller. Ansible then enters the host that a task is delegated to with that
host's variables, but puts the name of the host that the task belongs to in the place of ``inventory_hostname``
(``VariableManager.get_delegated_vars_and_hostname``): with ``ansible_host: "{{ inventory_hostname }}.example"`` it
enters ``localhost.example``, or, behind a jump host, whatever is called localhost there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError

#: What says which machine is entered, as whom, and how.
SHOWN = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_args",
)
#: Looked up by a name, as a rule, and never shown.
SECRET = ("ansible_password", "ansible_ssh_pass", "ansible_become_password", "ansible_become_pass")

OTHER = "localhost"

Fill = Callable[[Mapping[str, Any], Any], Any]


def others_in(variables: Mapping[str, Any], raw: Mapping[str, Any], fill: Fill) -> dict[str, str]:
    """What to write instead, by each such variable of a host; empty for a secret. ``raw``: its variables with their
    templates as they are written; ``fill``: fills one of them in, out of the variables that it is given."""
    found = {
        variable: str(variables[variable])
        for variable in SHOWN
        if variable in raw and _otherwise(raw, variable, fill) != variables[variable]
    }
    return found | {variable: "" for variable in SECRET if "inventory_hostname" in str(raw.get(variable, ""))}


def _otherwise(raw: Mapping[str, Any], variable: str, fill: Fill) -> Any:
    try:
        return fill({**raw, "inventory_hostname": OTHER}, raw[variable])
    except AnsibleError:
        return None


def faults_of(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence for each variable. ``found``: what ``others_in`` gave for each host."""
    faults = []
    for variable in (*SHOWN, *SECRET):
        hosts = {name: values[variable] for name, values in found.items() if variable in values}
        if hosts:
            instead = ", ".join(f"{value} for {name}" for name, value in hosts.items() if value)
            advice = (
                f"Write what is meant: {instead}" if instead else "Name the host itself, or give it in its host_vars"
            )
            faults.append(
                f"{variable} of {', '.join(hosts)} is made with inventory_hostname. When Ansible runs a task of the "
                "controller there, as in a hand-over, it puts the controller's name in that place, and enters another "
                f"machine, or none. {advice}."
            )
    return faults

#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_api_settings
short_description: Work out what the control API and its watcher are told
version_added: 0.1.0
description:
  - From the inventory and the variables of the role C(control_api), which is its only user.
  - Refuses what cannot be meant, such as an address that others reach without TLS.
  - Runs on the controller, asks no host and changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  given:
    description: The variables of the role without its name, and the paths that its tasks found out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Work out the settings
  relevo.postgres.control_api_settings:
    given: "{{ __control_api_given }}"
  register: worked_out
"""

RETURN = r"""
settings:
  description: The content of the service's settings file. It holds no secret.
  returned: success
  type: dict
loaded:
  description: A digest of the files that the service loads at its start. With another one it has to be restarted.
  returned: success
  type: str
watch:
  description: The content of the watcher's file.
  returned: success
  type: dict
groups:
  description: The groups of the operating system that the service's user has to be in.
  returned: success
  type: list
  elements: str
"""

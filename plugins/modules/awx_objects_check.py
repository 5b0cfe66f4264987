#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: awx_objects_check
short_description: Fail when an AWX holds something else than was given to it
version_added: 0.1.0
description:
  - Reads objects of AWX back, with their surveys and what they are associated with, and compares them with the options
    that the modules of C(awx.awx) were given.
  - AWX ignores fields that it does not know, and a survey that it dropped is missed only when somebody needs the job.
  - Secrets are not compared, since AWX does not show them.
  - Runs on the controller and changes nothing. In check mode it compares nothing.
author: The Relevo authors (@relevo)
requirements:
  - the collection awx.awx, whose lookup it asks; the address and the token come from E(CONTROLLER_HOST) and
    E(CONTROLLER_OAUTH_TOKEN)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  objects:
    description: Lists of objects by kind, which is the name of their module, such as C(job_template).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: AWX holds the templates
  relevo.postgres.awx_objects_check:
    objects:
      job_template: "{{ controller_templates }}"
"""

RETURN = r"""
objects:
  description: How many objects were compared.
  returned: success
  type: int
differences:
  description: What AWX holds otherwise, one sentence each.
  returned: failure
  type: list
  elements: str
"""

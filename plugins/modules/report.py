#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print text to the terminal as it is
version_added: 0.1.0
description:
  - Prints text of one or many lines without quotes, colour or indentation.
  - Meant for the tables and sentences that a play ends with, and for the JSON that a program cuts out of the output; it
    begins with a line V({) and ends with a line V(}).
  - Prints nothing where the callback for stdout writes JSON (E(ANSIBLE_STDOUT_CALLBACK)); the result holds the text.
  - Runs on the controller and needs no connection to the host.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Prints in check mode too, and changes nothing.
  diff_mode:
    support: none
options:
  text:
    description: The text. One of this, O(data) and O(plan) must be given.
    type: str
  data:
    description: A value that is printed as JSON.
    type: dict
  plan:
    description: A plan as docs/reference/plan.md describes it, which is printed as O(format) says.
    type: dict
  format:
    description: How O(plan) is printed.
    type: str
    choices: [text, json]
    default: text
  verbosity:
    description: Print only when at least this many C(-v) are given.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Show the backups
  relevo.postgres.report:
    text: "{{ catalog | relevo.postgres.catalog_text('table') }}"
"""

RETURN = r"""
data:
  description: The value of O(data), or of O(plan).
  type: dict
  returned: when one of them was given
text:
  description: The text, whether or not it was printed.
  type: str
  returned: success
"""

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One JSON document of several lists."""

from __future__ import annotations

DOCUMENTATION = r"""
name: json_together
short_description: One JSON document of several lists
version_added: 0.1.0
description:
  - Takes texts that are JSON lists, such as the views of the two repositories of a cluster, and returns the text of one
    list with the elements of all, in their order. A program that reads the output gets one document.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The texts.
    type: list
    elements: str
"""

EXAMPLES = r"""
text: "{{ ['[1]', '[2]'] | relevo.postgres.json_together }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

import json
from collections.abc import Callable, Sequence
from typing import Any


def json_together(texts: Sequence[str]) -> str:
    """See DOCUMENTATION."""
    return json.dumps([element for text in texts for element in json.loads(text)], ensure_ascii=False, indent=2)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"json_together": json_together}

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that turns reports into what Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: prometheus_text
short_description: Reports of backups as Prometheus reads them
version_added: 0.1.0
description:
  - Returns the metrics of reports in Prometheus's text format, for the textfile collector of its node exporter.
author:
  - The Relevo authors (@relevo)
requirements:
  - prometheus-client on the controller
options:
  _input:
    description: Reports, as P(relevo.postgres.catalog_reports#filter) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
text: "{{ reports | relevo.postgres.prometheus_text }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from ansible.errors import AnsibleFilterError


def prometheus_text(reports: Sequence[Mapping[str, Any]]) -> str:
    """See DOCUMENTATION."""
    from ansible_collections.relevo.postgres.plugins.plugin_utils import _metrics

    if _metrics.IMPORT_ERROR is not None:
        raise AnsibleFilterError(
            "format=prometheus needs the Python library prometheus-client on the controller. Run bin/setup."
        )
    return _metrics.text_of(reports)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"prometheus_text": prometheus_text}

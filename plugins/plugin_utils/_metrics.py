# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as Prometheus reads them, by its own library: escapes, order and types are its business."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

IMPORT_ERROR: str | None = None
try:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

#: What each metric is, in the words of its HELP line. docs/reference/metrics.md has the same.
METRICS = {
    "relevo_archive_lag_bytes": "WAL of the primary that is not archived",
    "relevo_archive_lag_seconds": "Age of the newest archived segment, 0 while less than a segment is not archived",
    "relevo_archive_missing_segments": "Segments that are missing in the archive since the oldest backup",
    "relevo_authority_expiry_seconds": "Time until the authority of the certificate of a node expires",
    "relevo_backup_age_seconds": "Time since the newest backup ended, of any type and of full ones",
    "relevo_backup_duration_seconds": "How long the newest backup took",
    "relevo_backup_size_bytes": "What the newest backup added to the repository",
    "relevo_backups": "Backups in the repository",
    "relevo_catalog_records_missing": "Backups without a record in the catalog",
    "relevo_catalog_records_orphaned": "Records in the catalog without a backup",
    "relevo_catalog_up": "Whether the catalog could be read",
    "relevo_certificate_expiry_seconds": "Time until the certificate of a node expires",
    "relevo_repositories": "Repositories of the cluster",
    "relevo_repositories_away": "Repositories of several that do not answer or have no stanza",
    "relevo_chain_broken_backups": "Backups whose files, or those of their base, are missing",
    "relevo_check_failed": "Whether a check of catalog_check.yml is past its limit",
    "relevo_check_timestamp_seconds": "When catalog_check.yml looked",
    "relevo_drill_age_seconds": "Time since the last drill ended",
    "relevo_drill_passed": "Whether the last drill restored its backup and found it good",
    "relevo_drill_rpo_seconds": "How much the last drill would have lost",
    "relevo_drill_rto_seconds": "How long the last drill took until its server was open",
    "relevo_scheduled_run_duration_seconds": "How long the last run of a timer took",
    "relevo_scheduled_run_failed": "Whether the last run of a timer failed",
    "relevo_scheduled_run_timestamp_seconds": "When the last run of a timer ended",
    "relevo_window_from_timestamp_seconds": "Since when a timeline can be restored",
    "relevo_window_to_timestamp_seconds": "Until when a timeline can be restored",
}


def text_of(reports: Iterable[Mapping[str, Any]]) -> str:
    """The metrics of some reports (``Report.as_dict``) in Prometheus's text format."""
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for report in reports:
        for metric in report["metrics"]:
            if metric["value"] is not None:
                labels = {"cluster": str(report["cluster"]), **metric["labels"]}
                values.setdefault(metric["name"], {})[tuple(labels.items())] = float(metric["value"])
    registry = CollectorRegistry()
    for name in sorted(values):
        # A label that some have not is empty there, which to Prometheus is the same.
        names = list(dict.fromkeys(label for found in values[name] for label, _value in found))
        gauge = Gauge(name, METRICS[name], names, registry=registry)
        for found, value in values[name].items():
            gauge.labels(**{**dict.fromkeys(names, ""), **dict(found)}).set(value)
    return generate_latest(registry).decode()

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, lag and jobs as metrics. docs/reference/api.md lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from .jobs import Job
from .nodes import Watcher
from .service import Service


class Collector:
    """A snapshot of one service."""

    def __init__(self, watcher: Watcher, clusters: list[str], jobs: list[Job]) -> None:
        self.watcher, self.clusters, self.jobs = watcher, clusters, jobs

    def collect(self) -> Iterator[Metric]:
        yield from self._nodes()
        yield from self._jobs()

    def _nodes(self) -> Iterator[Metric]:
        known = GaugeMetricFamily(
            "relevo_watcher_fresh", "Whether the servers of a cluster are being asked.", labels=["cluster"]
        )
        primaries = GaugeMetricFamily("relevo_primaries", "How many servers accept writes.", labels=["cluster"])
        labels = ["cluster", "node"]
        role = GaugeMetricFamily("relevo_node_role", "1 for the role that a node has.", labels=[*labels, "role"])
        up = GaugeMetricFamily("relevo_node_up", "Whether a server answers.", labels=labels)
        streaming = GaugeMetricFamily("relevo_standby_streaming", "Whether a standby streams.", labels=labels)
        lag = GaugeMetricFamily("relevo_replication_lag_bytes", "WAL not yet replayed.", labels=labels)
        seconds = GaugeMetricFamily("relevo_replication_lag_seconds", "Age of what was replayed.", labels=labels)
        for cluster in self.clusters:
            view = self.watcher.fresh(cluster)
            known.add_metric([cluster], view is not None)
            if view is None:
                continue
            primaries.add_metric([cluster], len(view.primaries))
            for node in view.nodes:
                names = [cluster, node["name"]]
                up.add_metric(names, node["role"] is not None)
                for word in ("primary", "standby"):
                    role.add_metric([*names, word], node["role"] == word)
                if node["role"] == "standby":
                    streaming.add_metric(names, node["streaming"])
                for family, key in ((lag, "replay_lag_bytes"), (seconds, "lag_seconds")):
                    if node[key] is not None:
                        family.add_metric(names, node[key])
        yield from (known, primaries, role, up, streaming, lag, seconds)

    def _jobs(self) -> Iterator[Metric]:
        labels = ["cluster", "operation"]
        counts = GaugeMetricFamily("relevo_jobs", "Jobs that are kept, by state.", labels=[*labels, "state"])
        for (cluster, operation, state), number in sorted(
            Counter((job.cluster, job.operation, job.state) for job in self.jobs).items()
        ):
            counts.add_metric([cluster, operation, state], number)
        yield counts
        # Moments and not counts: jobs are forgotten, and a series that begins with 1 has never increased.
        for word, text, states in (
            ("success", "When an operation last ended well.", ("succeeded",)),
            ("failure", "When an operation was last refused, failed, or was cut off.", ("failed", "interrupted")),
        ):
            ended = GaugeMetricFamily(f"relevo_job_last_{word}_timestamp_seconds", text, labels=labels)
            for names, when in sorted(self._newest(states).items()):
                ended.add_metric(list(names), when)
            yield ended

    def _newest(self, states: tuple[str, ...]) -> dict[tuple[str, str], float]:
        """When each operation of each cluster last ended in one of ``states``, in seconds since 1970."""
        newest: dict[tuple[str, str], float] = {}
        for job in self.jobs:
            if job.state in states and job.ended:
                when = datetime.fromisoformat(job.ended).timestamp()
                key = (job.cluster, job.operation)
                newest[key] = max(newest.get(key, 0.0), when)
        return newest


def exposition(service: Service) -> bytes:
    registry = CollectorRegistry()
    clusters = [one.name for one in service.settings.clusters]
    registry.register(Collector(service.watcher, clusters, list(service.jobs.all())))
    return generate_latest(registry) + service.backup_metrics.strip().encode() + b"\n"

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's own document, held against what the server answers to requests that were made up from it.

The operations go to the stand-in of an AWX, where they end at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from api_server import CLUSTERS, WIDE, Server, runner_settings, serving
from awx_jobs_stand_in import TOKEN, awx
from hypothesis import HealthCheck, given, settings

ALL = list(HealthCheck)


@pytest.fixture(scope="module")
def documented(nothing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("document")
    (directory / "awx-token").write_text(TOKEN)
    with awx() as (_stand_in, url):
        backend = {"kind": "awx", "url": url, "token_file": str(directory / "awx-token"), "poll_s": 0.05}
        given = {**runner_settings(nothing, CLUSTERS, limits=WIDE, open_legacy=True), "backend": backend}
        with serving(directory, given) as server:
            yield server


@pytest.fixture(scope="module")
def token(documented: Server) -> str:
    return documented.token("all", "destroy")


@pytest.fixture(scope="module")
def document(documented: Server, token: str) -> Any:
    with documented.client(token) as client:
        told = client.get("/openapi.json").json()
    loaded = schemathesis.openapi.from_dict(told)
    loaded.config.update(base_url=documented.url)
    # A server whose watcher says nothing is not ready, and says so.
    loaded.config.checks.not_a_server_error.expected_statuses += ["503"]
    # What a check refuses, and what wants a confirmation, is a request of the right form.
    loaded.config.checks.positive_data_acceptance.expected_statuses += ["412", "428"]
    return loaded


def test_what_the_document_says_is_what_is_answered(document: Any, token: str) -> None:
    """By hand, since the plugin of schemathesis does not know this pytest."""
    failures, tried = [], 0
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, timeout=60)

        try:
            holds()
        except BaseExceptionGroup as failure:
            failures += [f"{operation.label}: {one}" for one in failure.exceptions]
        tried += 1
    assert failures == []
    assert tried > 30


def test_it_names_every_path(document: Any) -> None:
    paths = set(document.raw_schema["paths"])
    assert {"/", "/failover", "/failback", "/healthz", "/readyz", "/metrics", "/nodes/{node}/primary"} <= paths
    assert {"/v1/clusters/{cluster}/backups", "/v1/jobs/{job}/events"} <= paths

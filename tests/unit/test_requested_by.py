"""Who asked: one answer for markers, records and the lock."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.lookup.requested_by import requested_by


@pytest.mark.parametrize(
    ("variables", "environment", "expected"),
    [
        ({"awx_job_id": 12}, {"USER": "awx"}, "AWX job 12"),
        ({"tower_job_id": "7"}, {"USER": "awx"}, "AWX job 7"),
        ({"awx_job_id": 12, "tower_job_id": 7}, {}, "AWX job 12"),
        ({"awx_job_id": ""}, {"USER": "ana"}, "ana@controller"),
        ({}, {"USER": "ana"}, "ana@controller"),
        ({}, {"USER": ""}, "ansible@controller"),
        ({}, {"RELEVO_REQUESTED_BY": "ana", "RELEVO_API_JOB": "API job 7", "USER": "x"}, "ana (API job 7)"),
        ({"awx_job_id": 12}, {"RELEVO_REQUESTED_BY": "ana", "RELEVO_API_JOB": "API job 7"}, "AWX job 12"),
        # cron sets no USER everywhere.
        ({}, {}, "ansible@controller"),
    ],
)
def test_who_asked(variables: dict[str, Any], environment: dict[str, str], expected: str) -> None:
    assert requested_by(variables, environment, "controller") == expected

# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every public variable is set to something else than its default by a test on a real cluster, which looks for it.

What a test names here is what it says of itself: the table EFFECTS and the marks ``variables`` under tests/variables,
and the texts below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
EFFECTS = TESTS / "variables" / "test_effects.py"

#: Set by another test on real containers: where, and the text that sets it.
ELSEWHERE = {
    "awx_drill_schedule": ("awx/test_apply.py", "awx_drill_schedule"),
    "awx_execution_environment_image": ("awx/test_apply.py", "awx_execution_environment_image"),
    "awx_inventory_path": ("awx/test_apply.py", "awx_inventory_path"),
    "awx_machine": ("awx/test_apply.py", "awx_machine"),
    "awx_night_teams": ("awx/test_apply.py", "awx_night_teams"),
    "awx_notifications": ("awx/test_apply.py", "awx_notifications"),
    "awx_organization": ("awx/test_apply.py", "awx_organization"),
    "awx_project_branch": ("awx/test_apply.py", "awx_project_branch"),
    "awx_project_url": ("awx/test_apply.py", "awx_project_url"),
    "awx_schedule": ("awx/test_apply.py", "awx_schedule"),
    "awx_secrets": ("awx/test_apply.py", "awx_secrets"),
    "control_api_allowed_hosts": ("api/test_1_service.py", "under_another_name"),
    "control_api_awx_templates": ("api/test_3_awx.py", '"templates"'),
    "control_api_awx_authority": ("api/test_3_awx.py", 'backend["authority"]'),
    "control_api_awx_organization": ("api/test_3_awx.py", '"organization"'),
    "control_api_awx_token_file": ("api/test_3_awx.py", '"token_file"'),
    "control_api_awx_url": ("api/test_3_awx.py", '"url"'),
    "control_api_backend": ("api/test_3_awx.py", '"kind": "awx"'),
    "control_api_health_from": ("api/test_1_service.py", "health_from="),
    "control_api_keep_jobs": ("api/test_3_awx.py", "keep_jobs=2"),
    "control_api_limits": ("api/test_5_cluster.py", "control_api_limits"),
    "control_api_listen": ("api/test_5_cluster.py", "control_api_listen=0.0.0.0"),
    "control_api_plain_http": ("api/test_5_cluster.py", "control_api_plain_http=true"),
    "control_api_tls_certificate": ("api/test_1_service.py", "tls_certificate"),
    "control_api_tls_client_authority": ("api/test_1_service.py", "tls_client_authority"),
    "control_api_tls_key": ("api/test_1_service.py", "tls_key"),
    "control_api_directory": ("api/test_5_cluster.py", "control_api_directory"),
    "control_api_open_legacy": ("api/test_5_cluster.py", "control_api_open_legacy=true"),
    "control_api_port": ("api/test_5_cluster.py", "control_api_port"),
    "control_api_state": ("machines/test_4_control_host.py", "control_api_state=absent"),
    "control_api_user": ("machines/test_4_control_host.py", '"control_api_user": "api-runner"'),
    "control_api_service": ("api/test_5_cluster.py", "control_api_service=none"),
    "control_api_venv": ("api/test_5_cluster.py", "control_api_venv="),
    "catalog_before": ("integration/test_q_cleanup.py", "before="),
    "catalog_check_drill_required": ("integration/test_q_cleanup.py", "drill_required=true"),
    "catalog_check_format": ("integration/test_q_cleanup.py", "format=prometheus"),
    "catalog_check_max_archive_lag": ("integration/test_q_cleanup.py", "max_archive_lag=0"),
    "catalog_check_max_backup_age": ("integration/test_q_cleanup.py", "max_backup_age=1"),
    "catalog_check_max_drill_age": ("integration/test_q_cleanup.py", "max_drill_age=1"),
    "catalog_check_max_full_age": ("integration/test_q_cleanup.py", "max_full_age=1"),
    "catalog_check_repo2_max_backup_age": ("integration/test_z_two_repositories.py", "repo2_max_backup_age=1"),
    "catalog_check_repo2_max_full_age": ("integration/test_z_two_repositories.py", "repo2_max_full_age=1"),
    "catalog_check_max_records_missing": ("integration/test_q_cleanup.py", "max_records_missing=0"),
    "catalog_check_max_records_orphaned": ("integration/test_q_cleanup.py", "max_records_orphaned=0"),
    "catalog_check_max_rpo": ("integration/test_q_cleanup.py", "max_rpo=30"),
    "catalog_check_max_rto": ("integration/test_q_cleanup.py", "max_rto=300"),
    "catalog_check_min_certificate_days": ("integration/test_q_cleanup.py", "min_certificate_days=99999"),
    "catalog_check_output": ("integration/test_q_cleanup.py", "output="),
    "catalog_output": ("integration/test_q_cleanup.py", "output="),
    "catalog_primary": ("integration/test_q_cleanup.py", "primary=desconocido"),
    "catalog_since": ("integration/test_q_cleanup.py", "since="),
    "catalog_type": ("integration/test_q_cleanup.py", "type=incr"),
    "catalog_verified": ("integration/test_q_cleanup.py", "verified=true"),
    "backup_cycle_only_repository": ("integration/test_z_two_repositories.py", "repository_number=1"),
    "backup_cycle_repo2_days": ("integration/test_z_two_repositories.py", "backup_cycle_repo2_days"),
    "backup_cycle_repo2_retention_full": (
        "integration/test_z_two_repositories.py",
        "backup_cycle_repo2_retention_full",
    ),
    "drill_repository": ("integration/test_z_two_repositories.py", "repository_number=2"),
    "restore_repository": ("integration/test_z_two_repositories.py", "repository_number=2"),
    "catalog_only_repository": ("integration/test_z_two_repositories.py", "repository_number=2"),
    "cleanup_repository": ("integration/test_z_two_repositories.py", "repository_number=2"),
    "catalog_search": ("integration/test_e_catalog.py", "catalog_search"),
    "cleanup_confirm": ("integration/test_q_cleanup.py", "confirm=main"),
    "cleanup_keep": ("integration/test_q_cleanup.py", "keep=1"),
    "cleanup_operation": ("integration/test_q_cleanup.py", "operation=retention"),
    "cleanup_pin": ("integration/test_q_cleanup.py", "pin="),
    "cleanup_show_plan": ("integration/test_q_cleanup.py", "plan=json"),
    "cleanup_timeout": ("integration/test_q_cleanup.py", "cleanup_timeout=0.001"),
    "cleanup_until": ("integration/test_q_cleanup.py", "pin_until="),
    "cluster_removal_timeout": ("integration/test_w_remove.py", "cluster_removal_timeout=0.001"),
    "docker_nodes_lose_scratch": ("integration/test_p_restore.py", "docker_nodes_lose_scratch=true"),
    "docker_nodes_packages_as_of": ("integration/test_z_upgrade.py", "docker_nodes_packages_as_of="),
    "docker_nodes_remove_data": ("integration/conftest.py", "down_data=true"),
    "drill_backup": ("integration/test_p_restore.py", '"backup": "random"'),
    "drill_checks": ("integration/test_p_restore.py", "drill_checks"),
    "drill_database": ("integration/test_p_restore.py", "drill_database"),
    "drill_directory": ("integration/test_p_restore.py", "drill_directory="),
    "drill_host": ("integration/test_p_restore.py", "drill_host="),
    "drill_last": ("integration/test_p_restore.py", "drill_last"),
    "drill_nice": ("integration/test_p_restore.py", "drill_nice"),
    "drill_preload_libraries": ("integration/test_p_restore.py", "drill_preload_libraries"),
    "drill_process_max": ("integration/test_p_restore.py", "drill_process_max"),
    "drill_tables": ("integration/test_p_restore.py", "drill_tables"),
    "drill_timeout": ("integration/test_p_restore.py", "drill_timeout"),
    "failover_fence_check_command": ("machines/test_1_trial.py", "failover_fence_check_command"),
    "failover_fence_command": ("machines/test_1_trial.py", "failover_fence_command"),
    "failover_fence_living": ("integration/test_f_living_primary.py", "fence_living=true"),
    "failover_force": ("integration/test_3_emergency.py", "force=true"),
    "haproxy_check_interval": ("integration/test_z_proxy.py", "haproxy_check_interval=600"),
    "haproxy_listen": ("integration/test_z_proxy.py", '"haproxy_listen": "0.0.0.0"'),
    "haproxy_max_connections": ("integration/test_z_proxy.py", "haproxy_max_connections=300"),
    "haproxy_port": ("integration/test_z_proxy.py", '"haproxy_port": 6000'),
    "haproxy_read_only_port": ("integration/test_z_proxy.py", '"haproxy_read_only_port": 6001'),
    "haproxy_ready_timeout": ("integration/test_z_proxy.py", "haproxy_ready_timeout=2"),
    "haproxy_service_manager": ("integration/test_z_proxy.py", '"haproxy_service_manager": "runit"'),
    "inventory_check_others": ("integration/test_2_bad_input.py", "inventory_check_others"),
    "inventory_check_cluster": ("integration/test_c_two_clusters.py", "cluster="),
    "operation_lock_wait": ("integration/test_d_operation_lock.py", "wait_for_lock="),
    "packages_extra": ("machines/inventory.yml", "packages_extra"),
    "pgbackrest_left_path": ("integration/test_n_repository.py", "pgbackrest_left_path"),
    "pgbackrest_new_cluster": ("integration/test_h_founding.py", "new_cluster="),
    **{
        f"pgbackrest_repo2_{name}": ("integration/test_z_two_repositories.py", f"pgbackrest_repo2_{name}")
        for name in (
            *("cipher_pass", "mount", "path", "push_timeout", "retention_full"),
            *("s3_ca", "s3_key_secret", "s3_verify", "type"),
        )
    },
    **{
        f"pgbackrest_repo2_{name}": ("support/s3_server.py", f'"pgbackrest_repo2_{name}"')
        for name in ("s3_bucket", "s3_endpoint", "s3_key", "s3_region", "s3_uri_style")
    },
    "pgbackrest_service_manager": ("machines/inventory.yml", "pgbackrest_service_manager: systemd"),
    "postgresql_adopt": ("machines/test_2_adoption.py", "adopt=true"),
    "postgresql_new_cluster": ("integration/test_h_founding.py", "new_cluster="),
    "postgresql_restart": ("integration/test_j_configuration.py", "restart=true"),
    "postgresql_secrets_dir": ("support/nondefault.py", "relevo_secrets_dir"),
    "postgresql_secrets_given": ("integration/test_a_given_secrets.py", "secrets_given"),
    "postgresql_seed_files": ("support/two_clusters.py", "postgresql_seed_files"),
    "postgresql_version": ("integration/test_2_bad_input.py", "postgresql_version"),
    "redis_service_manager": ("machines/inventory.yml", "redis_service_manager: systemd"),
    "restore_backup": ("integration/test_p_restore.py", "backup="),
    "restore_confirm": ("integration/test_r_in_place.py", "confirm=main"),
    "restore_database": ("integration/test_s_tables.py", '"database": DATABASE'),
    "restore_into": ("integration/test_s_tables.py", "into=original"),
    "restore_keep": ("integration/test_s_tables.py", "keep=true"),
    "restore_lock_timeout": ("integration/test_s_tables.py", "restore_lock_timeout=2"),
    "restore_tables": ("integration/test_s_tables.py", '"tables": tables'),
    "restore_directory": ("integration/test_p_restore.py", "restore_directory"),
    "restore_host": ("integration/test_p_restore.py", "restore_host="),
    "restore_name": ("integration/test_p_restore.py", '"scratch": "mine"'),
    "restore_point_name": ("integration/test_p_restore.py", "point=before_release"),
    "rotate_stop_after": ("integration/test_u_rotate.py", "rotate_stop_after=trust"),
    "rotate_timeout": ("integration/test_u_rotate.py", "rotate_timeout="),
    "restore_point_timeout": ("integration/test_p_restore.py", "restore_point_timeout="),
    "restore_preload_libraries": ("integration/test_p_restore.py", "restore_preload_libraries"),
    "restore_process_max": ("integration/test_p_restore.py", "restore_process_max"),
    "restore_read_only": ("integration/test_p_restore.py", '"read_only": True'),
    "restore_remove": ("integration/test_p_restore.py", "remove="),
    "restore_target": ("integration/test_p_restore.py", "target="),
    "restore_target_type": ("integration/test_p_restore.py", "target_type="),
    "restore_timeline": ("integration/test_p_restore.py", "timeline="),
    "restore_timeout": ("integration/test_p_restore.py", '"restore_timeout": 600'),
    **{
        f"schedule_{name}": ("machines/test_4_control_host.py", f'"schedule_{name}"')
        for name in (
            "backup_calendar",
            "check_calendar",
            "cluster",
            "directory",
            "drill_calendar",
            "more_jobs",
            "persistent",
            "random_delay",
            "textfile_directory",
            "time_limit",
            "timezone",
            "user",
            "vault_password_file",
            "wait",
        )
    },
    "schedule_notify_command": ("machines/test_4_control_host.py", '"relevo_notify_command"'),
    "schedule_state": ("machines/test_4_control_host.py", "schedule_state=absent"),
    "restore_to": ("integration/test_r_in_place.py", "to=cluster"),
    "restore_undo_days": ("integration/test_r_in_place.py", "restore_undo_days=3"),
    "secrets_authority_certificate": ("integration/test_m_other_controller.py", "secrets_authority_certificate"),
    "secrets_authority_key": ("integration/test_m_other_controller.py", "secrets_authority_key"),
    "secrets_given": ("integration/test_a_given_secrets.py", "secrets_given"),
    "secrets_renew_days": ("integration/test_i_certificates.py", "secrets_renew_days"),
    "secrets_replace": ("integration/test_m_other_controller.py", "secrets_replace"),
    "secrets_replace_public": ("integration/test_a_given_secrets.py", "secrets_replace_public=true"),
    "upgrade_minor_lock_timeout": ("machines/test_9_upgrade.py", "upgrade_minor_lock_timeout=60"),
    "upgrade_minor_timeout": ("integration/test_z_upgrade.py", "upgrade_minor_timeout=15"),
}

#: Set by a role or a playbook of ours only, from what people set: nobody else has a reason to.
PASSED_ON = {
    "awx_notified": "awx_notifications",
    "backup_cycle_backups": "the repository's answer",
    "backup_cycle_busy": "the operation lock",
    "backup_cycle_clusters": "the clusters of the inventory",
    "backup_cycle_hosts": "the clusters of the inventory",
    "backup_cycle_left_out": "the clusters of the inventory",
    "backup_cycle_stanza": "node_cluster",
    "catalog_check_clusters": "cluster",
    "catalog_check_left_out": "the clusters of the inventory",
    "catalog_repository": "the repositories that there are",
    "catalog_tasks": "the playbook",
    "cleanup_stanza": "cluster",
    "cluster_removal_backups": "remove_backups",
    "cluster_removal_cluster": "cluster",
    "cluster_removal_confirm": "confirm",
    "cluster_removal_secrets": "remove_secrets",
    "cluster_removal_show_plan": "plan",
    "cluster_topology_cluster": "node_cluster",
    "cluster_topology_require": "the playbook",
    "cluster_topology_unreachable": "who does not answer",
    "drill_cluster": "cluster",
    "drill_show_plan": "plan",
    "failback_cluster": "cluster",
    "failover_cluster": "cluster",
    "handover_candidate": "failover_candidate",
    "handover_cluster": "cluster",
    "handover_fence_command": "failover_fence_command",
    "handover_fence_living": "failover_fence_living",
    "handover_force": "failover_force",
    "handover_show_plan": "failover_show_plan, failback_show_plan",
    "docker_nodes_clusters": "the clusters of the inventory",
    "haproxy_kept": "the clusters of the inventory",
    "haproxy_without": "cluster",
    "inventory_check_choice": "the playbook",
    "inventory_check_leave_out": "the playbook",
    "inventory_check_refusal": "the playbook",
    "inventory_check_refused": "the clusters that are refused",
    "inventory_check_together": "secrets_replace, secrets_replace_public",
    "inventory_check_groups": "the playbook",
    "inventory_check_proxies": "the playbook",
    "inventory_check_python": "the playbook",
    "inventory_check_names": "the playbook",
    "node_addition_cluster": "cluster",
    "node_addition_node": "node",
    "node_addition_show_plan": "plan",
    "node_retirement_cluster": "cluster",
    "node_retirement_confirm": "confirm",
    "node_retirement_consumers": "lose_consumers",
    "node_retirement_data": "remove_data",
    "node_retirement_force": "force",
    "node_retirement_last": "last_standby",
    "node_retirement_node": "node",
    "node_retirement_show_plan": "plan",
    "operation_lock_operation": "the playbook",
    "operation_lock_repositories": "the clusters of the inventory",
    "operation_lock_required": "the playbook",
    "operation_lock_apart": "the playbook",
    "operation_lock_begun": "the role handover",
    "operation_lock_leave_out": "the playbook",
    "operation_lock_unreachable": "the playbook",
    "pgbackrest_kept": "the clusters of the inventory",
    "pgbackrest_repository": "node_cluster",
    "pgbackrest_stanzas": "node_cluster",
    "pgbackrest_without": "the cluster that is removed",
    "postgresql_leave_out": "the clusters of the inventory",
    "rejoin_cluster": "cluster",
    "restore_cluster": "cluster",
    "restore_point_cluster": "cluster",
    "restore_point_show_plan": "plan",
    "restore_show_plan": "plan",
    "redis_keep_passwords": "the role rotate",
    "redis_known_passwords": "the role rotate",
    "rotate_clusters": "cluster",
    "rotate_confirm": "confirm",
    "rotate_kind": "rotate",
    "rotate_show_plan": "plan",
    "secrets_all_asked": "the clusters of the inventory",
    "secrets_adopting": "whether a server is adopted",
    "secrets_renew": "rotate",
    "secrets_not_answering": "rotate",
    "seed_files": "postgresql_seed_files",
    "seed_port": "postgresql_port",
    "status_clusters": "cluster",
    "status_recreate": "docker_nodes_recreate",
    "status_restart": "restart",
    "upgrade_minor_cluster": "cluster",
    "upgrade_minor_confirm": "confirm",
    "upgrade_minor_show_plan": "plan",
}

#: Where tests have real parts: servers, containers, machines, a service that answers. A unit test shows what we think.
REAL = {"api", "awx", "integration", "machines", "support", "variables"}


def public() -> set[str]:
    """The variables of all roles, as their specs name them."""
    found: set[str] = set()
    for spec in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= set(entry.get("options") or {})
    return found


def strings(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def in_table() -> set[str]:
    """The first column of EFFECTS."""
    for statement in ast.parse(EFFECTS.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.List):
            return {next(strings(row)) for row in statement.value.elts}
    raise AssertionError("test_effects.py has no table")


def marked() -> set[str]:
    """What the marks of the tests name."""
    found: set[str] = set()
    for path in (TESTS / "variables").glob("test_*.py"):
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr == "variables":
                found |= set(strings(part))
    return found


def test_what_is_said_to_be_tested_is_a_variable() -> None:
    said = in_table() | marked() | set(ELSEWHERE) | set(PASSED_ON)
    assert said - public() == set()


@pytest.mark.parametrize("variable", sorted(ELSEWHERE))
def test_the_other_test_sets_it(variable: str) -> None:
    where, text = ELSEWHERE[variable]
    assert text in (TESTS / where).read_text(encoding="utf-8")
    assert where.partition("/")[0] in REAL


def test_every_variable_is_looked_for() -> None:
    unseen = public() - in_table() - marked() - set(ELSEWHERE) - set(PASSED_ON)
    assert unseen == set(), "set it to something else than its default in tests/variables, and look for it"

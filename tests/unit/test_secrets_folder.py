"""One folder of secrets, whoever asks for it: roles, playbooks, filters and actions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.action import held_secrets_check, rotation_plan
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import ca_file, secrets_directory
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import misspelt

ROOT = Path(__file__).resolve().parents[2]
#: What the expressions below lean on, as the plays that have them find it.
AROUND = {
    "cluster_removal_planned": {"servers": ["db"]},
    "__restore_node": "db",
    "__down_node": "{{ hostvars['db'] }}",
}


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def expressions() -> dict[str, str]:
    """Each place that works the folder out, with its words."""
    [restore] = [task for task in read("roles/restore/tasks/replace.yml") if "secrets_dir" in task.get("vars", {})]
    tasks = [task for one in read("playbooks/down.yml") for task in one.get("tasks", [])]
    [down] = [task for task in tasks if task["name"] == "Remove the secrets"]
    return {
        "secrets": read("roles/secrets/defaults/main.yml")["secrets_dir"],
        "postgresql": read("roles/postgresql/defaults/main.yml")["postgresql_secrets_dir"],
        "control_api": read("roles/control_api/vars/main.yml")["__control_api_secrets"],
        "schedule": read("roles/schedule/vars/main.yml")["__schedule_secrets"],
        "cluster_removal": read("roles/cluster_removal/vars/main.yml")["__cluster_removal_secrets"],
        "restore": restore["vars"]["secrets_dir"],
        "down": down["relevo.postgres.secrets_removal"]["directory"],
    }


@pytest.mark.parametrize("given", ["/srv/secrets", "", None])
def test_each_role_and_playbook_finds_the_same_folder(tmp_path: Path, given: str | None) -> None:
    hosts = {"db": {"ansible_connection": "local"} | ({} if given is None else {"relevo_secrets_dir": given})}
    inventory = {"postgres": {"hosts": hosts}}
    # The node that they look at is a variable of the same file.
    nodes = [
        ("roles/control_api/vars/main.yml", "__control_api_node"),
        ("roles/schedule/vars/main.yml", "__schedule_node"),
        ("roles/cluster_removal/vars/main.yml", "__cluster_removal_host"),
    ]
    variables = AROUND | {name: read(path)[name] for path, name in nodes} | {"found": expressions()}
    copy = {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(tmp_path / "found.json")}}
    play = [{"hosts": "db", "gather_facts": False, "vars": variables, "tasks": [copy]}]
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = given or f"{tmp_path}/.secrets"
    assert json.loads((tmp_path / "found.json").read_text()) == dict.fromkeys(expressions(), folder)


def test_no_other_place_knows_where_it_is() -> None:
    """Documentation, examples and what is a test of its own apart."""
    files = [path for part in ("roles", "playbooks", "plugins") for path in (ROOT / part).rglob("*.yml")]
    files += [path for path in (ROOT / "plugins").rglob("*.py") if path.parent.name != "modules"]
    knows = [str(path.relative_to(ROOT)) for path in files if "/.secrets" in path.read_text(encoding="utf-8")]
    assert knows == ["plugins/module_utils/_cluster/connection.py"]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"inventory_dir": "/inventory"}, "/inventory/.secrets"),
        ({"inventory_dir": "/inventory", "relevo_secrets_dir": ""}, "/inventory/.secrets"),
        ({"inventory_dir": "/inventory", "relevo_secrets_dir": "/srv"}, "/srv"),
        ({}, "./.secrets"),
    ],
)
def test_the_folder_and_the_authority_in_it(variables: dict[str, str], folder: str) -> None:
    assert secrets_directory(variables) == folder
    assert ca_file(variables) == f"{folder}/tls/ca.crt"


HOSTS: dict[str, dict[str, str]] = {
    "a": {"node_cluster": "main"},
    "b": {"node_cluster": "shop"},
    "c": {"node_cluster": "apart", "relevo_secrets_dir": "/srv/apart"},
    "d": {"node_cluster": "same", "relevo_secrets_dir": "/srv"},
}
TASK_VARS = {"groups": {"postgres": list(HOSTS)}, "hostvars": HOSTS}


def test_a_rotation_takes_that_of_the_play_for_a_host_without_its_own() -> None:
    seen: Any = SimpleNamespace(_task_vars=TASK_VARS)
    assert rotation_plan.ActionModule._neighbours(seen, ["main"], "/srv") == (["shop", "same"], [])
    assert rotation_plan.ActionModule._neighbours(seen, ["main", "apart"], "/srv") == (["shop", "same"], ["apart"])


@pytest.mark.parametrize(
    ("given", "missing", "meant"),
    [
        (["relevo_replicaton"], ["relevo_replication"], {"relevo_replicaton": "relevo_replication"}),
        (["Relevo-Monitor"], ["relevo_monitor", "relevo_handover"], {"Relevo-Monitor": "relevo_monitor"}),
        # Whatever begins so is ours.
        (["relevo_repl"], ["redis", "relevo_replication"], {"relevo_repl": "relevo_replication"}),
        (["rediss"], ["redis"], {"rediss": "redis"}),
        (["user_wbe"], ["user_web"], {"user_wbe": "user_web"}),
        # Somebody else's, out of a vault of several inventories, and one that counts on.
        (["user_billing"], ["user_web"], {}),
        (["user_2"], ["user_1"], {}),
        # Known in another cluster of this inventory, or nothing is missing.
        (["user_shop"], ["user_shops"], {}),
        (["relevo_replicaton"], [], {}),
    ],
)
def test_a_name_that_is_like_one_that_is_missing_is_misspelt(
    given: list[str], missing: list[str], meant: dict[str, str]
) -> None:
    known = {"relevo_replication", "relevo_monitor", "relevo_handover", "redis", "user_shop", *missing}
    assert misspelt(given, known, missing) == meant


def test_the_secrets_of_the_users_are_looked_for_in_the_folder_of_their_cluster(tmp_path: Path) -> None:
    def user(secret: str) -> dict[str, Any]:
        return {"postgresql_users": [{"name": "x", "password_secret": secret}]}

    hosts: dict[str, Any] = {
        "a": user("user_web"),
        "b": user("user_shop") | {"relevo_secrets_dir": "/srv/apart"},
        "c": {"relevo_secrets_dir": "/srv"},
    }
    seen: Any = SimpleNamespace(_task_vars={"groups": {"postgres": list(hosts)}, "hostvars": hosts})
    refuse = held_secrets_check.ActionModule._refuse_misspelt
    folder = str(tmp_path)
    with pytest.raises(RelevoError, match="secrets_given has user_wbe, which nobody .* and user_web is given nowhere"):
        refuse(seen, ["user_wbe", "redis"], [], folder)
    # The other cluster's secret may be in its own folder.
    refuse(seen, ["user_shp", "user_web"], [], folder)
    (tmp_path / "user_web").write_text("x")
    refuse(seen, ["user_wbe"], [], folder)


def test_the_check_of_held_secrets_asks_the_hosts_with_the_folder_of_the_play() -> None:
    seen: Any = SimpleNamespace(_task_vars=TASK_VARS, _ask=lambda _name, _variables: None)
    assert held_secrets_check.ActionModule._others(seen, "/srv", {"a": {}}) == {"b": None, "d": None}

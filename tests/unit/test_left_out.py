"""Which clusters a play over several leaves out, and what hosts that serve several keep of them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2
import pytest

from ansible_collections.relevo.postgres.plugins.callback.failures import Failure, unsaid
from ansible_collections.relevo.postgres.plugins.filter.kept_parts import kept_parts
from ansible_collections.relevo.postgres.plugins.filter.proxy_ports_taken import proxy_ports_taken
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.left_out import (
    TOGETHER,
    all_fenced,
    only_theirs,
    refused_by_host,
    set_apart,
    text,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.shared_file import proxies_in, stanzas_in
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {"north": ["n1", "n2", "repo", "redis"], "south": ["s1", "s2", "repo", "s_redis"]}


def test_without_a_refusal_nobody_is_left_out() -> None:
    apart = set_apart(NEEDED, ["north", "south", "west"], {}, together=True)
    assert (apart.left_out, apart.hosts, apart.kept) == ({}, [], ["west"])


def test_one_is_left_out_with_the_hosts_that_only_it_needs() -> None:
    apart = set_apart(NEEDED, list(NEEDED), {"south": "s1 is paused.", "west": "Not asked for."})
    assert apart.left_out == {"south": "s1 is paused."}
    assert apart.hosts == ["s1", "s2", "s_redis"]
    assert apart.kept == ["south"]


@pytest.mark.parametrize(
    ("needed", "refused", "sentence"),
    [
        ({"main": ["a"]}, {"main": "a is paused."}, "a is paused."),
        (NEEDED, dict.fromkeys(NEEDED, "repo is paused."), "repo is paused."),
        (
            NEEDED,
            {"north": "n1\nis paused.", "south": "Fenced."},
            "Not provisioned: 2 of 2 clusters.\nnorth: n1 is paused.\nsouth: Fenced.",
        ),
    ],
)
def test_with_none_left_the_play_ends(needed: dict[str, list[str]], refused: dict[str, str], sentence: str) -> None:
    with pytest.raises(RelevoError) as raised:
        set_apart(needed, list(needed), refused)
    assert raised.value.message == sentence


def test_what_is_for_all_leaves_nobody_out() -> None:
    with pytest.raises(RelevoError, match="south: Fenced.") as raised:
        set_apart(NEEDED, list(NEEDED), {"south": "Fenced."}, together=True)
    assert TOGETHER in raised.value.message


def test_only_theirs() -> None:
    assert only_theirs(NEEDED, ["south"]) == ["s1", "s2", "s_redis"]
    assert only_theirs(NEEDED, ["south", "north"]) == ["n1", "n2", "repo", "redis", "s1", "s2", "s_redis"]
    assert only_theirs({}, []) == []


@pytest.mark.parametrize(("fenced", "clusters"), [([], []), (["s1"], []), (["s1", "s2", "n1"], ["south"])])
def test_all_nodes_fenced(fenced: list[str], clusters: list[str]) -> None:
    found = all_fenced({"north": ["n1", "n2"], "south": ["s1", "s2"]}, fenced)
    assert list(found) == clusters
    assert all("All nodes of the cluster south are fenced" in said for said in found.values())


def test_what_hosts_say_is_said_once_of_each_cluster_that_needs_them() -> None:
    said = {"s1": "Port 5433.", "s2": "Port 5433.", "n1": "", "repo": ""}
    assert refused_by_host(NEEDED, said) == {"south": "s1, s2: Port 5433."}
    assert refused_by_host(NEEDED, {"repo": "No."}) == {"north": "repo: No.", "south": "repo: No."}


def test_the_text_at_the_end() -> None:
    assert text({}, 2) == ""
    lines = text({"south": "s1 is\npaused."}, 3).splitlines()
    assert lines[:2] == ["Not provisioned: 1 of 3 clusters.", "south: s1 is paused."]
    assert "left as it is" in lines[2]


def test_a_play_that_ends_before_its_end_still_names_them() -> None:
    out = {"south": "s1 is\npaused."}
    assert unsaid(out, {"n1": Failure("Write", "No space.", 1)}) == ["south: left out: s1 is paused."]
    assert unsaid(out, {"localhost": Failure("End", "Not provisioned. south: s1 is paused. Fix it.", 1)}) == []


def rendered(role: str, name: str, **variables: Any) -> str:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.ChainableUndefined)
    for filter_name in ("node_address", "cluster_nodes", "postgresql_paths", "flag"):
        environment.filters[f"relevo.postgres.{filter_name}"] = (
            (lambda _names, nodes, cluster: nodes[cluster]) if filter_name == "cluster_nodes" else lambda *_given: {}
        )
    environment.filters["comment"] = lambda given: f"# {given}"
    return environment.from_string((ROOT / "roles" / role / "templates" / name).read_text()).render(
        variables | {"groups": {"postgres": []}}
    )


def repository_file(ports: dict[str, int], kept: dict[str, Any]) -> str:
    nodes = {name: [{"name": f"{name}1", "host": f"{name}1", "port": port}] for name, port in ports.items()}
    return rendered(
        "pgbackrest",
        "pgbackrest.conf.j2",
        hostvars=nodes,
        __pgbackrest_is_repository=True,
        __pgbackrest_served=list(ports),
        __pgbackrest_kept_parts=kept,
        __pgbackrest_second={},
    )


def proxy_file(ports: dict[str, int], kept: dict[str, Any]) -> str:
    clusters = [
        {
            "cluster": name,
            "port": port,
            "read_only_port": port + 1,
            "servers": [{"name": f"{name}1", "place": f"{name}1:{port}", "resolves": False}],
        }
        for name, port in ports.items()
    ]
    return rendered(
        "haproxy",
        "haproxy.cfg.j2",
        haproxy_check_interval=1000,
        __haproxy_proxied={"clusters": clusters, "check": {}},
        __haproxy_kept_parts=kept,
    )


@pytest.mark.parametrize(("render", "parts"), [(repository_file, stanzas_in), (proxy_file, proxies_in)])
def test_a_shared_file_keeps_the_part_of_a_cluster_that_is_left_out(render: Any, parts: Any) -> None:
    before, other = {"a": 1001, "main": 2001, "b": 3001}, {"a": 1005, "main": 2005, "b": 3005}
    there = render(before, {})
    for cluster in before:
        kept = parts(there, [cluster])
        assert list(kept) == [cluster]
        # To the letter as a play writes it that is about all and finds for this one what is there.
        assert render(other, kept) == render(other | {cluster: before[cluster]}, {})
        assert render(before, kept) == there
    assert render(other, parts("", list(before))) == render(other, {}), "what is not there yet comes from the inventory"


@pytest.mark.parametrize(("render", "parts"), [(repository_file, stanzas_in), (proxy_file, proxies_in)])
def test_one_that_the_inventory_has_elsewhere_by_now_stays_until_a_play_is_about_it(render: Any, parts: Any) -> None:
    there = render({"b": 3001, "a": 1001}, {})
    assert render({"b": 3001}, parts(there, ["a"])) == there
    assert "a1" not in render({"b": 3001}, {})


@pytest.mark.parametrize(
    ("ports", "taken"), [({"a": 1005, "b": 1001}, 2), ({"a": 1005, "b": 1000}, 1), ({"a": 1001, "b": 3001}, 0)]
)
def test_a_port_that_a_kept_cluster_has_is_no_other_cluster_s(ports: dict[str, int], taken: int) -> None:
    """HAProxy would take both, and lead a client of one to the other."""
    kept = proxies_in(proxy_file({"a": 1001, "b": 3001}, {}), ["a"])
    clusters = [{"cluster": name, "port": port, "read_only_port": port + 1} for name, port in ports.items()]
    found = proxy_ports_taken(kept, clusters)
    assert len(found) == taken
    assert all("a, which this run is not about" in one and "-e cluster=b,a." in one for one in found)
    assert proxy_ports_taken({}, clusters) == []


def test_a_name_that_another_begins_with_is_another() -> None:
    assert stanzas_in("tls-server-auth=n=main2\n\n[main2]\nx=1\n", ["main"]) == {}
    assert proxies_in(proxy_file({"main2": 5}, {}), ["main"]) == {}


def test_half_a_part_is_none() -> None:
    assert stanzas_in("[south]\npg1-host=s1\n", ["south"]) == {}
    assert proxies_in("frontend south_primary\n  bind :1\n", ["south"]) == {}


def test_a_file_as_slurp_returns_it() -> None:
    encoded = base64.b64encode(proxy_file({"south": 5}, {}).encode()).decode()
    assert list(kept_parts(encoded, ["south", "north"], "haproxy")) == ["south"]
    encoded = base64.b64encode(repository_file({"south": 5}, {}).encode()).decode()
    assert kept_parts(encoded, ["south"], "pgbackrest")["south"]["servers"] == "tls-server-auth=south1=south"
    assert kept_parts("", ["south"], "pgbackrest") == {}

"""What is done, or refused, for container nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container_plan
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container_plan import (
    LABEL_CLUSTER,
    LABEL_CONFIG,
    LABEL_MANAGED,
    Container,
    Engine,
    Plan,
    Publication,
    ScratchInstance,
    Settings,
    Wanted,
    fingerprint,
    image_tag,
    plan,
    refuse_lost_scratch,
    refuse_taken_ports,
    refuse_unkept_second,
    refused_apart,
    removal,
)

NODE = Wanted("pg1", "postgres", "main", 5432, "17")
IMAGES = {"pg1": "relevo/node-postgres:abc", "r": "relevo/node-redis:abc"}
OURS = {LABEL_MANAGED: "true", LABEL_CLUSTER: "main"}


def settings(**changes: Any) -> Settings:
    given = {"network": "relevo", "address": "127.0.0.1", "adopt": False, "recreate": False, "options": {"shm": "1"}}
    return Settings(**{**given, **changes})


def engine(status: str = "running", labels: dict[str, str] | None = None, config: str | None = None) -> Engine:
    """An engine that has everything of ``pg1``, made with the settings above unless said otherwise."""
    own = fingerprint(NODE, IMAGES["pg1"], settings()) if config is None else config
    container = Container("pg1", status, {**(OURS if labels is None else labels), LABEL_CONFIG: own})
    return Engine(
        containers={"pg1": container},
        volumes={"pg1_data": OURS, "pg1_etc": OURS},
        networks={"relevo": {LABEL_MANAGED: "true"}},
    )


def decide(there: Engine, fenced: bool = False, **changes: Any) -> Plan:
    return plan([NODE], IMAGES, there, settings(**changes), lambda _name: fenced)[0]


def test_everything_is_missing() -> None:
    decided = decide(Engine())
    assert (decided.action, decided.missing_volumes) == ("create", ["pg1_data", "pg1_etc"])


def test_nothing_is_missing() -> None:
    decided = decide(engine())
    assert (decided.action, decided.pending, decided.missing_volumes) == ("none", "", [])


@pytest.mark.parametrize("status", ["exited", "created"])
def test_a_stopped_container_is_started(status: str) -> None:
    assert decide(engine(status)).action == "start"


@pytest.mark.parametrize("recreate", [False, True])
def test_a_fenced_node_is_left_down(recreate: bool) -> None:
    decided = decide(engine("exited", config="old"), fenced=True, recreate=recreate)
    assert (decided.action, decided.fenced) == ("none", True)
    assert "rejoin.yml" in decided.pending


def test_a_marker_on_a_running_node_is_not_asked_for() -> None:
    assert not decide(engine("running"), fenced=True).fenced


def test_a_running_container_is_not_replaced_unasked() -> None:
    decided = decide(engine(config="old"))
    assert decided.action == "none"
    assert "replaced by upgrade_minor.yml, one node after the other" in decided.pending
    assert "docker_nodes_recreate=true" in decided.pending
    assert decide(engine(config="old"), recreate=True).action == "recreate"


def test_a_container_that_is_as_wanted_is_not_replaced() -> None:
    assert decide(engine(), recreate=True).action == "none"


def test_a_paused_container_is_named() -> None:
    with pytest.raises(RelevoError, match="pg1 is paused.* Run docker unpause pg1, then .*failover.yml fences it"):
        decide(engine("paused"))


def test_no_hand_over_is_advised_for_a_paused_container_without_a_server() -> None:
    there = Engine(containers={"r": Container("r", "paused", OURS)}, volumes={}, networks={})
    with pytest.raises(RelevoError, match="Run docker unpause r, then run this again.$"):
        plan([Wanted("r", "redis", "main")], IMAGES, there, settings(), lambda _name: False)


@pytest.mark.parametrize("labels", [{}, {LABEL_MANAGED: "true", LABEL_CLUSTER: "other"}])
def test_a_foreign_container_is_refused_or_replaced_when_adopted(labels: dict[str, str]) -> None:
    with pytest.raises(RelevoError, match="container pg1"):
        decide(engine(labels=labels))
    assert decide(engine(labels=labels), adopt=True).action == "recreate"


def test_foreign_volume_and_network_are_refused() -> None:
    there = Engine(volumes={"pg1_data": {}}, networks={"relevo": {}})
    with pytest.raises(RelevoError) as raised:
        decide(there)
    assert raised.value.details["foreign"] == ["volume pg1_data", "network relevo"]
    assert decide(there, adopt=True).missing_volumes == ["pg1_etc"]


def test_an_adopted_volume_is_ours_while_our_container_uses_it() -> None:
    there = engine()
    there.volumes["pg1_data"] = {}
    with pytest.raises(RelevoError, match="volume pg1_data"):
        decide(there)
    there.containers["pg1"].volumes = frozenset({"pg1_data"})
    assert decide(there).action == "none"


def ports(nodes: list[Wanted], there: Engine, bound: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    plans = plan(nodes, IMAGES, there, settings(), lambda _name: False)
    refuse_taken_ports(nodes, plans, there, settings(), lambda _address, port: port in bound)


def test_a_port_that_another_container_holds() -> None:
    for address in ("127.0.0.1", "0.0.0.0", "::"):
        there = Engine(publications=[Publication("thief", address, 5432)])
        with pytest.raises(RelevoError, match="port 5432 of pg1 is taken by the container thief"):
            ports([NODE], there)
    ports([NODE], Engine(publications=[Publication("other", "10.0.0.1", 5432)]))


def test_a_port_that_a_process_holds() -> None:
    with pytest.raises(RelevoError, match="another process"):
        ports([NODE], Engine(), {5432})


def test_the_own_container_may_hold_the_port() -> None:
    there = engine()
    there.publications = [Publication("pg1", "127.0.0.1", 5432)]
    ports([NODE], there, {5432})


def test_a_port_given_twice() -> None:
    with pytest.raises(RelevoError, match="port 5432 of r is also that of pg1"):
        ports([NODE, Wanted("r", "redis", "main", 5432)], Engine())


def test_the_answers_of_the_engine_are_read() -> None:
    there = Engine.from_api(
        [
            {
                "Names": ["/pg1"],
                "State": "running",
                "Labels": OURS,
                "Mounts": [{"Type": "volume", "Name": "pg1_data"}, {"Type": "bind", "Source": "/x"}],
                "Ports": [{"PrivatePort": 8432, "Type": "tcp"}, {"IP": "::", "PublicPort": 5432, "Type": "tcp"}],
                "NetworkSettings": {"Networks": {"relevo": {}}},
            }
        ],
        [{"Name": "pg1_data", "Labels": None}],
        [{"Name": "relevo", "Labels": None}],
    )
    assert there.containers["pg1"] == Container("pg1", "running", OURS, frozenset({"pg1_data"}), frozenset({"relevo"}))
    assert there.publications == [Publication("pg1", "::", 5432)]
    assert there.volumes == {"pg1_data": {}}


def test_only_what_is_ours_is_removed() -> None:
    there = engine()
    there.volumes["pg1_etc"] = {}
    found = removal([NODE], there, "relevo")
    assert (found.containers, found.volumes, found.network) == (["pg1"], {"pg1": ["pg1_data"]}, True)
    there.containers["app"] = Container("app", "exited", networks=frozenset({"relevo"}))
    assert not removal([NODE], there, "relevo").network
    foreign = removal([NODE], engine(labels={}), "relevo")
    assert foreign.containers == []


def test_the_fingerprint_covers_what_a_container_is_made_with() -> None:
    base = fingerprint(NODE, "image", settings())
    others = [
        fingerprint(NODE, "image2", settings()),
        fingerprint(Wanted("pg1", "postgres", "main", 5433, "17"), "image", settings()),
        fingerprint(NODE, "image", settings(network="other")),
        fingerprint(NODE, "image", settings(options={"shm": "2"})),
    ]
    assert len({base, *others}) == 5
    assert fingerprint(NODE, "image", settings(adopt=True, recreate=True)) == base


@pytest.mark.parametrize(
    ("node", "mounts", "ports"),
    [
        (
            Wanted("db", "postgres", "main", 5433, "18"),
            ["db_data:/var/lib/postgresql", "db_etc:/etc/relevo"],
            ["10.0.0.1:5433:5432"],
        ),
        (Wanted("repo", "pgbackrest", "main"), ["repo_data:/var/lib/pgbackrest", "repo_etc:/etc/relevo"], []),
        (
            Wanted("cat", "redis", "main", 6380),
            ["cat_data:/var/lib/redis", "cat_etc:/etc/relevo"],
            ["10.0.0.1:6380:6379"],
        ),
    ],
)
def test_paths_and_ports_follow_from_the_kind(node: Wanted, mounts: list[str], ports: list[str]) -> None:
    decided = plan([node], {node.name: "image"}, Engine(), settings(address="10.0.0.1"), lambda _name: False)[0]
    assert (decided.mounts, decided.published_ports) == (mounts, ports)


# --- a second repository that is a directory ---


def repository(path: str = "/srv/two", kind: str = "posix", node: str = "pgbackrest", mount: str = "") -> Wanted:
    second = {"type": kind, "path": path, "mount": mount}
    return Wanted.from_dict(
        {"name": "r", "kind": node, "cluster": "main", "version": "17", "second_repository": second}
    )


@pytest.mark.parametrize(
    ("node", "mount"),
    [
        (repository(), "/srv/two"),
        (repository("/srv/./two/"), "/srv/two"),
        # Beside the directory of the volume, whatever its name begins with.
        (repository("/var/lib/pgbackrest2"), "/var/lib/pgbackrest2"),
        (repository("/var/lib/pgbackrest/two"), ""),
        # Refused for what they are, when all else is there.
        (repository("/var/lib"), ""),
        (repository("two"), ""),
        (repository(""), ""),
        (repository(kind="s3"), ""),
        (repository(kind=""), ""),
        (repository(node="redis"), ""),
        (Wanted.from_dict({"name": "r", "kind": "pgbackrest", "cluster": "main"}), ""),
    ],
)
def test_it_has_a_volume_of_its_own(node: Wanted, mount: str) -> None:
    """Otherwise every new container would be without the backups of the old one."""
    usual = Wanted(node.name, node.kind, node.cluster, version=node.version)
    assert node.mounts() == [*usual.mounts(), *([f"r_second:{mount}"] if mount else [])]
    # Containers without one are not to be replaced.
    same = fingerprint(node, "image", settings()) == fingerprint(usual, "image", settings())
    assert same is not bool(mount)


def test_a_directory_that_docker_cannot_mount_is_refused() -> None:
    with pytest.raises(RelevoError, match=r"pgbackrest_repo2_path=/srv/a:b has a colon.*Nothing was touched"):
        repository("/srv/a:b")


def test_what_is_mounted_in_a_container_is_the_volume_alone() -> None:
    """Otherwise it would be found out when the container has been replaced."""
    with pytest.raises(RelevoError, match=r"pgbackrest_repo2_mount=/srv is for machines.*Nothing was touched"):
        repository(mount="/srv")
    assert repository(mount="/srv/two/") == repository()
    assert repository(kind="s3", mount="/srv").second_directory == ""


@pytest.mark.parametrize(
    ("wanted", "mounted", "status", "recreate", "refused"),
    [
        (repository(), False, "running", False, True),
        (repository(), False, "exited", False, True),
        (repository(), False, "running", True, False),
        (repository(), True, "running", False, False),
        (repository("/var/lib/pgbackrest/two"), False, "running", False, False),
        (repository(kind="s3"), False, "running", False, False),
    ],
)
def test_a_container_that_would_lose_it_is_refused(
    wanted: Wanted, mounted: bool, status: str, recreate: bool, refused: bool
) -> None:
    volumes = frozenset({"r_data", "r_etc", *(["r_second"] if mounted else [])})
    there = Engine({"r": Container("r", status, OURS, volumes)}, volumes=dict.fromkeys(volumes, OURS))
    decided = plan([wanted], IMAGES, there, settings(recreate=recreate), lambda _name: False)
    assert decided[0].missing_volumes == (["r_second"] if "r_second" in wanted.volumes() and not mounted else [])
    if not refused:
        refuse_unkept_second([wanted], decided, there)
        return
    with pytest.raises(RelevoError) as raised:
        refuse_unkept_second([wanted], decided, there)
    assert raised.value.message == (
        "The container of r has no volume for pgbackrest_repo2_path=/srv/two, and what is put there would be lost with "
        "it. Nothing was touched. A new container gets one, and keeps what is on the others. It is replaced by "
        "upgrade_minor.yml, or with -e docker_nodes_recreate=true, each together with all that wait for a new one. Run "
        "this again then."
    )


def test_a_container_that_is_not_there_yet_gets_it() -> None:
    wanted = repository()
    decided = plan([wanted], IMAGES, Engine(), settings(), lambda _name: False)
    refuse_unkept_second([wanted], decided, Engine())
    assert decided[0].missing_volumes == ["r_data", "r_etc", "r_second"]


@pytest.mark.parametrize("labels", [{}, OURS])
def test_it_is_removed_with_the_others_also_when_nobody_asks_for_it_any_more(labels: dict[str, str]) -> None:
    there = Engine(volumes={"r_data": OURS, "r_second": labels})
    found = removal([Wanted("r", "pgbackrest", "main"), Wanted("q", "redis", "main")], there, "relevo")
    assert found.volumes == {"r": ["r_data", *(["r_second"] if labels else [])], "q": []}
    # Of a volume of that name that is not ours nothing is said where none is wanted.
    container_plan.refuse_foreign([Wanted("r", "pgbackrest", "main")], there, settings())
    if not labels:
        with pytest.raises(RelevoError, match="volume r_second"):
            container_plan.refuse_foreign([repository()], there, settings())


def test_what_has_the_servers_programs_is_built_for_a_version() -> None:
    assert NODE.build_arguments() == {"POSTGRESQL_VERSION": "17"}
    repository = {"name": "r", "kind": "pgbackrest", "cluster": "main", "version": "17"}
    assert Wanted.from_dict(repository).build_arguments() == {"POSTGRESQL_VERSION": "17"}
    given = {"name": "r", "kind": "redis", "cluster": "main", "version": "17"}
    assert Wanted.from_dict(given).build_arguments() == {}
    assert Wanted.from_dict(given | {"packages_as_of": ""}).build_arguments() == {}
    assert Wanted.from_dict(given | {"packages_as_of": "today"}).build_arguments() == {"PACKAGES_AS_OF": "today"}
    again = Wanted.from_dict(repository | {"packages_as_of": "today"}).build_arguments()
    assert again == {"PACKAGES_AS_OF": "today", "POSTGRESQL_VERSION": "17"}
    with pytest.raises(RelevoError, match="No version of PostgreSQL is given for pg1"):
        Wanted("pg1", "postgres", "main").build_arguments()


def test_another_major_version_than_the_containers_is_refused() -> None:
    container_plan.refuse_other_versions([NODE], engine(), lambda _name: "17")
    # Nobody asks a container that is not there, or is somebody else's: that is refused, or replaced, elsewhere.
    container_plan.refuse_other_versions([NODE], Engine(), lambda _name: "16")
    container_plan.refuse_other_versions([NODE], engine(labels={}), lambda _name: "16")
    redis = Wanted("pg1", "redis", "main")
    container_plan.refuse_other_versions([redis], engine(), lambda _name: "16")
    # A repository host has no data of a server.
    repository = Wanted("pg1", "pgbackrest", "main", version="17")
    container_plan.refuse_other_versions([repository], engine(), lambda _name: "16")
    with pytest.raises(RelevoError, match=r"pg1 was made for PostgreSQL 18, but postgresql_version is 17\. .*Nothing"):
        container_plan.refuse_other_versions([NODE], engine(), lambda _name: "18")


def test_the_image_is_named_after_its_files_and_base(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    first = image_tag("redis", tmp_path, "base")
    assert first == image_tag("redis", tmp_path, "base")
    assert first.startswith("relevo/node-redis:")
    assert first != image_tag("redis", tmp_path, "base2")
    versions = {image_tag("redis", tmp_path, "base", {"POSTGRESQL_VERSION": version}) for version in ("17", "18")}
    assert len({first, *versions}) == 3
    (tmp_path / "run").write_text("")
    assert first != image_tag("redis", tmp_path, "base")


def test_a_port_is_published_on_an_address_of_ipv6_in_brackets() -> None:
    node = Wanted("cat", "redis", "main", 6380)
    decided = plan([node], {"cat": "image"}, Engine(), settings(address="::1"), lambda _name: False)[0]
    assert decided.published_ports == ["[::1]:6380:6379"]


def test_each_cluster_is_judged_by_itself() -> None:
    nodes = [Wanted(name, "postgres", cluster, None, "17") for name, cluster in (("a1", "a"), ("b1", "b"))]
    shared = Wanted("r", "redis", "main")
    labels = {name: {LABEL_MANAGED: "true", LABEL_CLUSTER: name[0]} for name in ("a1", "b1")}
    there = Engine(
        containers={name: Container(name, "paused" if name == "b1" else "running", labels[name]) for name in labels}
    )
    images = {"a1": "x", "b1": "x", "r": "x"}
    needed = {"a": ["a1", "r"], "b": ["b1", "r"], "of machines": ["m1", "r"]}

    def judge(judged: list[Wanted]) -> list[Plan]:
        return plan(judged, images, there, settings(), lambda _name: False)

    found = refused_apart([*nodes, shared], needed, judge)
    assert list(found) == ["b"]
    assert "The container b1 is paused" in found["b"]
    there.containers["r"] = Container("r", "paused", OURS)
    found = refused_apart([*nodes, shared], needed, judge)
    assert list(found) == ["a", "b", "of machines"]
    assert "The container r is paused" in found["a"]
    assert refused_apart([*nodes, shared], {}, judge) == {}


@pytest.mark.parametrize(
    ("kind", "config", "recreate", "refused"),
    [
        ("pgbackrest", "old", True, True),
        # It stays as it is, or was made with these settings.
        ("pgbackrest", "old", False, False),
        ("pgbackrest", None, True, False),
        ("postgres", "old", True, True),
        # Their images have no server.
        ("redis", "old", True, False),
    ],
)
def test_a_container_with_a_scratch_instance_is_not_replaced(
    kind: str, config: str | None, recreate: bool, refused: bool
) -> None:
    node = Wanted("pg1", kind, "main", version="17" if kind != "redis" else "")
    own = fingerprint(node, IMAGES["pg1"], settings()) if config is None else config
    decided = plan([node], IMAGES, engine(config=own), settings(recreate=recreate), lambda _name: False)
    asked: list[str] = []

    def instance_in(where: Wanted) -> ScratchInstance:
        asked.append(where.name)
        return ScratchInstance("mine", "shop")

    if refused:
        with pytest.raises(RelevoError, match="-e cluster=shop -e remove=mine -e restore_host=pg1") as found:
            refuse_lost_scratch([node], decided, instance_in)
        assert found.value.details == {"scratch": "mine"}
    else:
        refuse_lost_scratch([node], decided, instance_in)
    # Reading a container costs time, and one that stays need not be read.
    assert asked == (["pg1"] if refused else [])
    refuse_lost_scratch([node], decided, lambda _node: None)


@pytest.mark.parametrize(
    ("kind", "path", "kept"),
    [
        ("postgres", "/var/lib/postgresql/scratch", True),
        ("postgres", "/srv/scratch", False),
        ("pgbackrest", "/var/lib/postgresql/scratch", False),
        ("pgbackrest", "/var/lib/pgbackrest/scratch", True),
    ],
)
def test_what_is_on_a_volume_outlives_its_container(kind: str, path: str, kept: bool) -> None:
    assert Wanted("n", kind, "main", version="17").keeps(Path(path)) is kept

"""The benchmark's rivals, as far as that can be seen without a container."""

from __future__ import annotations

from importlib import import_module

import pytest

from systems.base import FIRST_PORTS, POSTGRESQL_SETTINGS
from systems.images import IMAGES
from systems.rival import Rival

NAMES = ("patroni", "repmgr", "pg_auto_failover")


def rivals() -> list[Rival]:
    return [one for name in NAMES for one in import_module(f"systems.{name}").systems()]


def test_each_has_its_defaults_and_what_its_users_recommend() -> None:
    assert [(one.name, one.variant) for one in rivals()] == [
        (name, variant) for name in NAMES for variant in ("defaults", "tuned")
    ]


def test_no_port_of_this_machine_is_published_twice() -> None:
    published = [FIRST_PORTS["relevo"] + offset for offset in range(3)]
    for one in rivals():
        for node, port in one.ports.items():
            published += [port, *one._further_ports(node).values()]
    assert len(published) == len(set(published))


def test_no_container_is_shared_and_every_name_fits_into_a_host_name() -> None:
    containers = [name for one in rivals() for name in (*one.nodes, *one.helpers)]
    assert len(containers) == len(set(containers))
    assert [name for name in containers if len(name) > 63] == []


@pytest.mark.parametrize("rival", rivals(), ids=lambda one: f"{one.name}-{one.variant}")
def test_what_all_systems_share_is_left_alone(rival: Rival) -> None:
    settings = rival._settings()
    assert {name: settings.get(name) for name in POSTGRESQL_SETTINGS} == POSTGRESQL_SETTINGS
    assert f"--stanza={rival.stanza} " in settings["archive_command"]


@pytest.mark.parametrize("name", NAMES)
def test_its_image_is_the_products_with_debians_packages(name: str) -> None:
    lines = (IMAGES / name / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM")] == ["FROM ${BASE_IMAGE}"]
    # Else the product's own service would start the server behind the rival's back.
    assert any("rm -rf /etc/service/postgresql" in line for line in lines)

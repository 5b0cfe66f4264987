"""The repository host that all rivals archive to: pgBackRest's own mutual-TLS server, a stanza for each pair."""

from __future__ import annotations

from functools import partial

from systems.base import PREFIX, BenchmarkError, docker, in_node, wait_until
from systems.containers import images_of_containers, remove, remove_network, running, start, write
from systems.images import product_image

HOST = f"{PREFIX}_repository"
#: The name in every node's certificate: what the repository lets in, and what may reach any stanza of it.
NODE = f"{PREFIX}_node"
PORT = 8432
TLS = "/etc/relevo/tls"
PGDATA = "/var/lib/postgresql/17/main"
SOCKETS = "/var/run/postgresql"

AUTHORITY = f"""
set -eu
[ -s {TLS}/node.crt ] && exit 0
install -d -o postgres -g postgres -m 0750 {TLS} /etc/relevo/nodes
cd {TLS}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN={PREFIX}_authority \
    -keyout ca.key -out ca.crt
"""
CERTIFICATE = f"""
set -eu
directory=$1 subject=$2 name=$3
[ -s "$directory/node.crt" ] && exit 0
mkdir -p "$directory"
cd "$directory"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$subject" -keyout node.key -out node.csr
printf 'subjectAltName=DNS:%s' "$name" > extensions
openssl x509 -req -days 30 -in node.csr -CA {TLS}/ca.crt -CAkey {TLS}/ca.key -CAcreateserial -extfile extensions \
    -out node.crt
chown postgres:postgres node.key
chmod 0600 node.key
"""


def _identity(prefix: str) -> str:
    return f"{prefix}-ca-file={TLS}/ca.crt\n{prefix}-cert-file={TLS}/node.crt\n{prefix}-key-file={TLS}/node.key\n"


# What the product's own nodes have by default.
COMMON = f"""[global]
compress-type=zst
archive-timeout=60
io-timeout=20
log-level-console=warn
log-level-file=info
tls-server-address=*
tls-server-port={PORT}
{_identity("tls-server")}"""


def up() -> None:
    """Make the host, or leave it as it is."""
    image = product_image("pgbackrest")
    if images_of_containers().get(HOST, image) != image:
        remove(HOST)
    if HOST not in images_of_containers():
        start(HOST, image, volume="/var/lib/pgbackrest")
    elif not running(HOST):
        docker("start", HOST)
    in_node(HOST, "sh", "-c", AUTHORITY, user="root")
    in_node(HOST, "sh", "-c", CERTIFICATE, "sh", TLS, HOST, HOST, user="root")
    rules = f"tls-server-auth={NODE}=*\nrepo1-path=/var/lib/pgbackrest\nrepo1-retention-full=2\nstart-fast=y\n"
    write(HOST, "/etc/relevo/pgbackrest/pgbackrest.conf", COMMON + rules)


def join(node: str, stanza: str) -> None:
    """Give a node its certificate, and its pgBackRest the way to the repository: its TLS server starts then."""
    place = f"/etc/relevo/nodes/{node}"
    in_node(HOST, "sh", "-c", CERTIFICATE, "sh", place, NODE, node, user="root")
    for path, source in (
        ("ca.crt", f"{TLS}/ca.crt"),
        ("node.crt", f"{place}/node.crt"),
        ("node.key", f"{place}/node.key"),
    ):
        text = in_node(HOST, "cat", source, user="root")
        write(node, f"{TLS}/{path}", text, mode="0600" if path == "node.key" else "0644")
    way = f"tls-server-auth={HOST}=*\nrepo1-host={HOST}\nrepo1-host-type=tls\nrepo1-host-port={PORT}\n"
    own = f"\n[{stanza}]\npg1-path={PGDATA}\npg1-socket-path={SOCKETS}\npg1-user=postgres\n"
    write(node, "/etc/relevo/pgbackrest/pgbackrest.conf", COMMON + way + _identity("repo1-host") + own)


def _stanza_file(stanza: str) -> str:
    return f"/etc/relevo/pgbackrest/conf.d/{stanza}.conf"


def knows(stanza: str) -> bool:
    """Whether this very host, with its certificates, has served the pair before: the file goes with the container."""
    try:
        in_node(HOST, "test", "-e", _stanza_file(stanza))
    except BenchmarkError:
        return False
    return True


def create_stanza(stanza: str, *nodes: str) -> None:
    """Make the pair's stanza; both servers must be up, so that the primary among them is found."""
    sections = [f"[{stanza}]\n"]
    for number, node in enumerate(nodes, 1):
        pg = f"pg{number}"
        sections.append(f"{pg}-host={node}\n{pg}-host-type=tls\n{pg}-host-port={PORT}\n{_identity(f'{pg}-host')}")
        sections.append(f"{pg}-path={PGDATA}\n{pg}-socket-path={SOCKETS}\n{pg}-user=postgres\n")
    write(HOST, _stanza_file(stanza), "".join(sections))
    for host in (HOST, *nodes):
        wait_until(partial(_listens, host), f"pgBackRest's server on {host}", 30)
    in_node(HOST, "pgbackrest", f"--stanza={stanza}", "stanza-create")


def _listens(host: str) -> bool:
    """Whether pgBackRest's server takes connections: its port in the kernel's own list, in state listening."""
    return f":{PORT:04X} 00000000:0000 0A" in in_node(host, "cat", "/proc/net/tcp")


def forget(stanza: str) -> None:
    """Drop what a pair that is made anew has left: its archive belongs to another system identifier."""
    places = [f"/var/lib/pgbackrest/{kind}/{stanza}" for kind in ("archive", "backup")]
    in_node(HOST, "rm", "-rf", *places, _stanza_file(stanza), user="root")


def down_when_unused() -> None:
    """Remove the host and the network with the last pair."""
    if set(images_of_containers()) <= {HOST}:
        remove(HOST)
        remove_network()

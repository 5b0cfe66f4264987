"""Newer packages for machines of the tests: what they have, packed again with another version."""

from __future__ import annotations

from cluster import shell

#: A source of packages on the machine itself, in which there is a newer version of what it has: the same files, packed
#: again with another version, from what dpkg has installed.
PACK = r"""
set -eu
package=$1 suffix=$2 tree=$(mktemp -d)
version=$(dpkg-query -W -f '${Version}' "$package")+$suffix
dpkg-query -L "$package" | while read -r path; do
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        mkdir -p "$tree$path"
    elif [ -e "$path" ] || [ -L "$path" ]; then
        cp -a "$path" "$tree$path"
    fi
done
mkdir "$tree/DEBIAN"
dpkg-query -s "$package" | sed '/^Status:/d; /^Conffiles:/,/^[^ ]/{/^Conffiles:/d; /^ /d}' \
    | sed "s|^Version: .*|Version: $version|" > "$tree/DEBIAN/control"
for script in preinst postinst prerm postrm triggers conffiles; do
    [ ! -e "/var/lib/dpkg/info/$package.$script" ] || cp -a "/var/lib/dpkg/info/$package.$script" "$tree/DEBIAN/$script"
done
chmod 0755 "$tree"
mkdir -p /srv/newer
# Packed for speed: with its own compression it takes minutes.
dpkg-deb -Zgzip -z1 --build --root-owner-group "$tree" "/srv/newer/${package}_$suffix.deb" > /dev/null
cd /srv/newer
for deb in *.deb; do
    dpkg-deb --field "$deb"
    echo "Filename: ./$deb"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
    echo
done > Packages
echo 'deb [trusted=yes] file:/srv/newer ./' > /etc/apt/sources.list.d/newer.list
rm -rf "$tree"
"""


def offer(package: str, suffix: str, *nodes: str) -> None:
    for node in nodes:
        shell(node, "bash", "-s", "--", package, suffix, stdin=PACK)


def version(node: str, package: str) -> str:
    return shell(node, "dpkg-query", "-W", "-f", "${Version}", package)

#!/bin/sh
# usage: add_packages.sh ROOT FOLDER MIRROR RELEASE PACKAGE...
# Installs packages over a root file system, and leaves the added files in FOLDER/upper. It runs in its own mount namespace,
# so the mounts end with it.
set -eu
root=$1 folder=$2 mirror=$3 release=$4
shift 4
merged=$folder/merged
mkdir -p "$folder/upper" "$folder/work" "$merged"
mount -t overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" overlay "$merged"

# The packages need the name resolution of this machine, and must not start services.
mount -t proc proc "$merged/proc"
touch "$merged/etc/resolv.conf" && mount --bind /etc/resolv.conf "$merged/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$merged/usr/sbin/policy-rc.d" && chmod 755 "$merged/usr/sbin/policy-rc.d"
echo "deb $mirror $release main" >"$merged/etc/apt/sources.list"
export DEBIAN_FRONTEND=noninteractive
in_root() { chroot "$merged" "$@"; }
# debootstrap ignores Valid-Until, too: the release files of a mirror snapshot expire.
in_root apt-get -q -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none update
in_root apt-get -q -y -o Dpkg::Options::=--force-unsafe-io --no-install-recommends install "$@"

# Tests start these services when they need them. Masks are necessary, because D-Bus starts some disabled services.
for unit in NetworkManager.service NetworkManager-dispatcher.service NetworkManager-wait-online.service \
    networking.service ifupdown-pre.service firewalld.service ufw.service polkit.service; do
    ln -sf /dev/null "$merged/etc/systemd/system/$unit"
done
# logind is masked on all hosts, and PAM would delay each login by waiting for it.
in_root pam-auth-update --remove systemd 2>/dev/null || true

umount "$merged/etc/resolv.conf" "$merged/proc"
rm -rf "$merged/etc/resolv.conf" "$merged/usr/sbin/policy-rc.d" "$merged/etc/apt/sources.list" "$merged/etc/machine-id" \
    "$merged/var/lib/apt/lists" "$merged/var/cache/apt"
# Without these time stamps the first boot of every host would rebuild caches that the packages have just built.
touch "$merged/etc/.updated" "$merged/var/.updated"

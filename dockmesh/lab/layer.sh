#!/bin/sh
# usage: layer.sh ROOT FOLDER MIRROR RELEASE PACKAGE...
# Installs packages over a root file system; FOLDER/upper then has the files that they add. Runs in its own mount
# namespace, so that the mount ends with the script.
set -eu
root=$1 folder=$2 mirror=$3 release=$4
shift 4
merged=$folder/merged
mkdir -p "$folder/upper" "$folder/work" "$merged"
mount -t overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" overlay "$merged"

# The packages need this machine's resolver and must not start services.
mount -t proc proc "$merged/proc"
touch "$merged/etc/resolv.conf" && mount --bind /etc/resolv.conf "$merged/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$merged/usr/sbin/policy-rc.d" && chmod 755 "$merged/usr/sbin/policy-rc.d"
echo "deb $mirror $release main" >"$merged/etc/apt/sources.list"
export DEBIAN_FRONTEND=noninteractive
inside() { chroot "$merged" "$@"; }
# As debootstrap does: the metadata of a frozen mirror has expired.
inside apt-get -q -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none update
inside apt-get -q -y -o Dpkg::Options::=--force-unsafe-io --no-install-recommends install "$@"

# Masked until a test needs them: D-Bus would start some units that are only disabled.
for unit in NetworkManager.service NetworkManager-dispatcher.service NetworkManager-wait-online.service \
    networking.service ifupdown-pre.service firewalld.service ufw.service polkit.service; do
    ln -sf /dev/null "$merged/etc/systemd/system/$unit"
done
# logind is masked on all hosts, and PAM would delay each login to wait for it.
inside pam-auth-update --remove systemd 2>/dev/null || true

umount "$merged/etc/resolv.conf" "$merged/proc"
rm -rf "$merged/etc/resolv.conf" "$merged/usr/sbin/policy-rc.d" "$merged/etc/apt/sources.list" "$merged/etc/machine-id" \
    "$merged/var/lib/apt/lists" "$merged/var/cache/apt"
# Without these files, the first boot of every host rebuilds the caches of the packages.
touch "$merged/etc/.updated" "$merged/var/.updated"

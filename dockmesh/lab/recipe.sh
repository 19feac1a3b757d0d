#!/bin/sh
# What a lab host has on top of its Debian packages; runs once per release, inside the new root file system.
set -eu

# Host keys and machine id are each host's own; resolv.conf came from the machine that built this.
rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/machine-id /var/lib/dbus/machine-id
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*

useradd --create-home --uid 1000 --user-group --shell /bin/bash admin
usermod --password '*' admin
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin

# Work for real hardware, for a terminal nobody sees, or at hours nobody chose.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer console-getty.service systemd-logind.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-modules-load.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
systemctl set-default multi-user.target >/dev/null

# Else the first boot of every host rebuilds what the packages have just built.
touch /etc/.updated /var/.updated

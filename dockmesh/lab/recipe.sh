#!/bin/sh
# Configures a lab host after its Debian packages. Runs once per release, inside the new root file system.
set -eu

# Each host gets its own host keys and machine ID; resolv.conf is that of the build machine.
rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/machine-id /var/lib/dbus/machine-id
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*

useradd --create-home --uid 1000 --user-group --shell /bin/bash admin
usermod --password '*' admin
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin

# Units for physical hardware or for a console, and timers that would disturb tests.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer console-getty.service systemd-logind.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-modules-load.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
systemctl set-default multi-user.target >/dev/null

# Without these files, the first boot of every host rebuilds the caches of the packages.
touch /etc/.updated /var/.updated

#!/bin/sh
# Configures what a lab host has besides its Debian packages. It runs once per release, in the new root file system.
set -eu

# Each host has its own host keys and machine id; resolv.conf is from the machine that built the image.
rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/machine-id /var/lib/dbus/machine-id
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*

useradd --create-home --uid 1000 --user-group --shell /bin/bash admin
usermod --password '*' admin
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin

# These units are for real hardware, serve a console that the lab does not use, or run at random times.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer console-getty.service systemd-logind.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-modules-load.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
# systemd runs all generators at each reload, which takes longer than the rest of the reload.
mkdir -p /etc/systemd/system-generators
for generator in /usr/lib/systemd/system-generators/*; do
    ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
done
# At each login, pam_motd starts scripts that print a message.
sed -i '/pam_motd/d' /etc/pam.d/sshd
systemctl set-default multi-user.target >/dev/null

# Without these time stamps the first boot of every host would rebuild caches that the packages have just built.
touch /etc/.updated /var/.updated

#!/bin/sh
# usage: mount_root.sh DISK OWN OVERLAY-OPTIONS MERGED COMMAND...
# Mounts the host's disk, unless DISK is empty, and its root file system, and executes the command that boots it. It runs in
# its own mount namespace, so the mounts end with the host.
set -eu
[ -z "$1" ] || mount -t ext4 -o loop "$1" "$2"
mount -t overlay -o "$3" overlay "$4"
shift 4
exec "$@"

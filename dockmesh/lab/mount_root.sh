#!/bin/sh
# usage: mount_root.sh OVERLAY-OPTIONS MERGED COMMAND...
# Mounts the root file system of a host and executes the command that boots it. It runs in its own mount namespace, so the
# mount ends with the host.
set -eu
mount -t overlay -o "$1" overlay "$2"
shift 2
exec "$@"

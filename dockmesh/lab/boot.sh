#!/bin/sh
# usage: boot.sh OVERLAY-OPTIONS MERGED COMMAND...
# Mounts a host's root and becomes the host. Runs in a mount namespace of its own, so that the mount ends with it.
set -eu
mount -t overlay -o "$1" overlay "$2"
shift 2
exec "$@"

#!/bin/sh
# usage: boot.sh OVERLAY-OPTIONS MERGED COMMAND...
# Mounts a host's root and executes COMMAND. Runs in its own mount namespace, so that the mount ends with the host.
set -eu
mount -t overlay -o "$1" overlay "$2"
shift 2
exec "$@"

#!/bin/sh
# Stands in for the dockerd of Docker 29, which no Debian release has: Docker 28.5, given what it knows of daemon.json. With
# "firewall-backend": "nftables" it is kept from the firewall and from ip_forward, and beside it is the ruleset that
# Docker 29 writes then. As the real one it refuses a mark that is none, and does not start where nothing is forwarded.
set -u
REAL=/usr/sbin/dockerd
FILE=/etc/docker/daemon.json
LIB=/usr/local/lib/docker29
RUN=/run/docker29
mkdir -p "$RUN"

# known FILE OUT: what Docker 28.5 knows of the file, to OUT; what of it is to be acted on here, to $RUN/keys.
known() {
  [ -e "$1" ] || { echo '{}' >"$2" && : >"$RUN/keys" && return; }
  perl "$LIB/keys.pl" "$1" "$2" >"$RUN/keys" || return 1
  mark=$(sed -n 's/^bridge-accept-fwmark //p' "$RUN/keys")
  echo "$mark" | grep -qxE '((0x[0-9a-fA-F]+|[0-9]+)(/(0x[0-9a-fA-F]+|[0-9]+))?)?' ||
    { echo "invalid bridge-accept-fwmark: invalid firewall mark \"$mark\"" >&2 && return 1; }
}

case " $* " in
*' --help '*) exec "$REAL" "$@" ;;
*' --validate '*)
  for word; do case "$word" in --config-file=*) file=${word#*=} ;; esac done
  known "$file" "$RUN/validate.json" || exit 1
  exec "$REAL" --validate --config-file="$RUN/validate.json"
  ;;
esac

# What runs is what the file says now: none of these keys is read again.
known "$FILE" "$RUN/daemon.json" && cp "$RUN/keys" "$RUN/running" || exit 1
runs() { grep -qx "$1" "$RUN/running"; }
set -- "$@" --config-file="$RUN/daemon.json"
if runs 'firewall-backend nftables'; then
  if ! runs 'ip-forward false' && [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 1 ]; then
    echo 'Error initializing network controller: IPv4 forwarding is disabled: set sysctl net.ipv4.ip_forward=1' >&2
    exit 1
  fi
  set -- "$@" --iptables=false --ip6tables=false --ip-forward=false
elif runs 'ip-forward false'; then
  set -- "$@" --ip-forward=false
fi

# A client that asks while Docker stops would have the socket start it again.
# shellcheck disable=SC2329
stop() {
  : >"$RUN/stopping"
  [ -z "$events" ] || kill "$events"
  flock "$RUN/lock" kill "$docker"
}

# The socket is handed to the process whose id is in LISTEN_PID; that Docker is ready, we say ourselves.
# shellcheck disable=SC2016
NOTIFY_SOCKET='' sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$REAL" "$@" &
docker=$!
events=
trap stop TERM INT
trap 'known "$FILE" "$RUN/daemon.json" && kill -HUP "$docker"' HUP

until timeout 5 /usr/bin/docker version >/dev/null 2>&1; do
  kill -0 "$docker" 2>/dev/null || exit 1
  sleep 0.05
done
rm -f "$RUN/stopping" "$RUN/events"
mkfifo "$RUN/events"
nft delete table ip docker-bridges 2>/dev/null
sh "$LIB/ruleset.sh"
systemd-notify --ready

/usr/bin/docker events --filter type=network --filter type=container --format . >"$RUN/events" &
events=$!
while read -r _; do sh "$LIB/ruleset.sh"; done <"$RUN/events" &
while kill -0 "$docker" 2>/dev/null; do
  wait "$docker"
  status=$?
done
exit "$status"

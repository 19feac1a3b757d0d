#!/bin/sh
# Replaces the dockerd of Docker 29, which no Debian release has, by Docker 28.5 with the keys of daemon.json that it knows.
# With "firewall-backend": "nftables" that Docker leaves the firewall and ip_forward alone, and ruleset.sh writes the rules of
# Docker 29. Like the real one, this dockerd rejects an invalid mark, does not start on a host that does not forward, and
# writes an empty DOCKER-USER with iptables. With iptables as the backend it has the rules of Docker 28.5: the real one has
# the empty DOCKER-INTERNAL in place of both DOCKER-ISOLATION-STAGE chains, and no RETURN in the table nat.
set -u
REAL=/usr/sbin/dockerd
FILE=/etc/docker/daemon.json
LIB=/usr/local/lib/docker29
RUN=/run/docker29
mkdir -p "$RUN"

# convert FILE OUT: writes the keys that Docker 28.5 knows to OUT, and the keys that these scripts use to $RUN/keys.
convert() {
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
  convert "$file" "$RUN/validate.json" || exit 1
  exec "$REAL" --validate --config-file="$RUN/validate.json"
  ;;
esac

# Docker reads none of these keys again, so a copy keeps the values of the running daemon.
convert "$FILE" "$RUN/daemon.json" && cp "$RUN/keys" "$RUN/running" || exit 1
has_key() { grep -qx "$1" "$RUN/running"; }
set -- "$@" --config-file="$RUN/daemon.json"
if has_key 'firewall-backend nftables'; then
  if ! has_key 'ip-forward false' && [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 1 ]; then
    echo 'Error initializing network controller: IPv4 forwarding is disabled: set sysctl net.ipv4.ip_forward=1' >&2
    exit 1
  fi
  set -- "$@" --iptables=false --ip6tables=false --ip-forward=false
elif has_key 'ip-forward false'; then
  set -- "$@" --ip-forward=false
fi

# A client that connects while Docker stops would make docker.socket start it again.
# shellcheck disable=SC2329
stop() {
  : >"$RUN/stopping"
  [ -z "$events" ] || kill "$events"
  flock "$RUN/lock" kill "$docker"
}

# systemd passes the socket to the process in LISTEN_PID. This script itself reports that Docker is ready.
# shellcheck disable=SC2016
NOTIFY_SOCKET='' sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$REAL" "$@" &
docker=$!
events=
trap stop TERM INT
trap 'convert "$FILE" "$RUN/daemon.json" && kill -HUP "$docker"' HUP

until timeout 5 /usr/bin/docker version >/dev/null 2>&1; do
  kill -0 "$docker" 2>/dev/null || exit 1
  sleep 0.05
done
rm -f "$RUN/stopping" "$RUN/events"
mkfifo "$RUN/events"
nft delete table ip docker-bridges 2>/dev/null
nft delete table ip6 docker-bridges 2>/dev/null
if has_key 'firewall-backend nftables'; then
  for iptables in iptables ip6tables; do
    "$iptables" -N DOCKER-USER 2>/dev/null
    "$iptables" -C FORWARD -j DOCKER-USER 2>/dev/null || "$iptables" -A FORWARD -j DOCKER-USER
    for chain in PREROUTING OUTPUT; do "$iptables" -t nat -P "$chain" ACCEPT; done
  done
  iptables -t nat -P POSTROUTING ACCEPT
fi
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

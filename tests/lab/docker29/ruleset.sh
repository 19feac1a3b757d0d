#!/bin/sh
# The table `ip docker-bridges` as Docker 29 writes it for the networks and containers there are (moby,
# daemon/libnetwork/drivers/bridge/internal/nftabler). Not of it: internal and routed networks, networks that do not
# masquerade, legacy links, a Docker without its userland proxy, and `ip6 docker-bridges`.
set -eu
RUN=/run/docker29

# A line a network: its bridge, its id, its subnet.
networks() {
  ids=$(timeout 15 /usr/bin/docker network ls --quiet --filter driver=bridge)
  # shellcheck disable=SC2086
  timeout 15 /usr/bin/docker network inspect --format \
    '{{or (index .Options "com.docker.network.bridge.name") (printf "br-%.12s" .Id)}} {{.Id}} {{(index .IPAM.Config 0).Subnet}}' $ids
}

# "at", a network's id and an address: a line for each of a container's. "port", the container's port and protocol, and
# where on the host it is published: behind the address that it is of.
containers() {
  ids=$(timeout 15 /usr/bin/docker ps --quiet)
  [ -n "$ids" ] || return 0
  # shellcheck disable=SC2016,SC2086
  timeout 15 /usr/bin/docker inspect --format '{{range .NetworkSettings.Networks}}at {{.NetworkID}} {{.IPAddress}}
{{end}}{{range $port, $places := .NetworkSettings.Ports}}{{range $places}}port {{$port}} {{.HostIp}} {{.HostPort}}
{{end}}{{end}}' $ids | grep -v -e '::' -e '^$'
}

# addresses ID: of the containers in a network.
addresses() { echo "$containers" | sed -n "s/^at $1 \(.\)/\1/p"; }

# ports ID: address, port, protocol, and where it is published, of the containers in a network.
ports() {
  echo "$containers" | while read -r what first second third; do
    case "$what" in
    at) if [ "$first" = "$1" ]; then address=$second; else address=; fi ;;
    port) [ -z "$address" ] || echo "$address ${first%/*} ${first#*/} $second $third" ;;
    esac
  done
}

running() { sed -n "s/^$1 //p" "$RUN/running"; }

accepted_mark() {
  mark=$(running bridge-accept-fwmark)
  case "$mark" in
  '') ;;
  */*) echo "meta mark and $((${mark#*/})) == $((${mark%/*})) counter accept comment \"ALLOW FW MARK\"" ;;
  *) echo "meta mark $((mark)) counter accept comment \"ALLOW FW MARK\"" ;;
  esac
}

published() {
  ports "$2" | while read -r address port protocol at on; do
    [ "$at" = 0.0.0.0 ] && to='' || to="ip daddr $at"
    echo "iifname != $1 $to $protocol dport $on counter dnat to $address:$port comment \"DNAT\""
  done
}

remote_loopback() {
  ports "$1" | while read -r _ _ protocol at on; do
    case "$at" in
    127.*) echo "iifname != lo ip daddr $at $protocol dport $on counter drop comment \"DROP REMOTE LOOPBACK\"" ;;
    esac
  done
}

accepted_ports() {
  ports "$1" | sort -u -k 1,3 | sed 's/^\([^ ]*\) \([^ ]*\) \([^ ]*\) .*/ip daddr \1 \3 dport \2 counter accept/'
}

direct_access() {
  [ "$(running allow-direct-routing)" = true ] ||
    addresses "$2" | sed "s/.*/ip daddr & iifname != { $1, } counter drop comment \"DROP DIRECT ACCESS\"/"
}

# bridge NAME ID SUBNET: the chains of one, and where they are jumped to.
bridge() {
  cat <<END
table ip docker-bridges {
  chain filter-forward-in__$1 {
    ct state established,related counter accept
    $(accepted_mark)
    iifname == $1 counter accept comment "ICC"
    $(accepted_ports "$2")
    counter drop comment "UNPUBLISHED PORT DROP"
  }
  chain filter-forward-out__$1 {
    ct state established,related counter accept
    counter accept comment "OUTGOING"
  }
  chain nat-postrouting-in__$1 { }
  chain nat-postrouting-out__$1 {
    oifname != $1 ip saddr $3 counter masquerade comment "MASQUERADE"
  }
  map filter-forward-in-jumps { type ifname : verdict; elements = { $1 : jump filter-forward-in__$1 } }
  map filter-forward-out-jumps { type ifname : verdict; elements = { $1 : jump filter-forward-out__$1 } }
  map nat-postrouting-in-jumps { type ifname : verdict; elements = { $1 : jump nat-postrouting-in__$1 } }
  map nat-postrouting-out-jumps { type ifname : verdict; elements = { $1 : jump nat-postrouting-out__$1 } }
  chain nat-prerouting-and-output {
    $(published "$1" "$2")
  }
  chain raw-PREROUTING {
    $(direct_access "$1" "$2")
    $(remote_loopback "$2")
  }
}
END
}

base() {
  cat <<END
table ip docker-bridges {
  map filter-forward-in-jumps { type ifname : verdict; }
  map filter-forward-out-jumps { type ifname : verdict; }
  map nat-postrouting-in-jumps { type ifname : verdict; }
  map nat-postrouting-out-jumps { type ifname : verdict; }
  chain filter-FORWARD {
    type filter hook forward priority filter; policy accept;
    oifname vmap @filter-forward-in-jumps
    iifname vmap @filter-forward-out-jumps
  }
  chain nat-OUTPUT {
    type nat hook output priority dstnat; policy accept;
    ip daddr != 127.0.0.1/8 fib daddr type local counter jump nat-prerouting-and-output
  }
  chain nat-POSTROUTING {
    type nat hook postrouting priority srcnat; policy accept;
    iifname vmap @nat-postrouting-out-jumps
    oifname vmap @nat-postrouting-in-jumps
  }
  chain nat-PREROUTING {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local counter jump nat-prerouting-and-output
  }
  chain nat-prerouting-and-output { }
  chain raw-PREROUTING { type filter hook prerouting priority raw; policy accept; }
}
END
}

exec 9>"$RUN/lock"
flock 9
[ "$(running firewall-backend)" = nftables ] && [ ! -e "$RUN/stopping" ] || exit 0
containers=$(containers || true)
ruleset=$(
  base
  networks | while read -r name id subnet; do bridge "$name" "$id" "$subnet"; done
)
# Docker changes what differs, so that the counters of the rest go on.
if [ "$ruleset" != "$(cat "$RUN/ruleset" 2>/dev/null)" ] || ! nft list table ip docker-bridges >/dev/null 2>&1; then
  printf 'table ip docker-bridges {\n}\ndelete table ip docker-bridges\n%s\n' "$ruleset" | nft -f -
  printf '%s\n' "$ruleset" >"$RUN/ruleset"
fi

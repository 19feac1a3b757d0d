#!/bin/sh
# Writes the table `ip docker-bridges` for the present networks and containers as Docker 29 does (moby,
# daemon/libnetwork/drivers/bridge/internal/nftabler), and `ip6 docker-bridges` as it is without IPv6 networks. A test
# compares both with those of a real Docker 29.7.2. It lacks internal and routed networks, networks without masquerade,
# legacy links, and a Docker without userland proxy.
set -eu
RUN=/run/docker29

# Prints "BRIDGE ID SUBNET" for each network.
networks() {
  ids=$(timeout 15 /usr/bin/docker network ls --quiet --filter driver=bridge)
  # shellcheck disable=SC2086
  timeout 15 /usr/bin/docker network inspect --format \
    '{{or (index .Options "com.docker.network.bridge.name") (printf "br-%.12s" .Id)}} {{.Id}} {{(index .IPAM.Config 0).Subnet}}' $ids
}

# Prints "at NETWORK ADDRESS" for each address of a container, and then "port PORT/PROTOCOL HOST_ADDRESS HOST_PORT" for each
# of its published ports.
containers() {
  ids=$(timeout 15 /usr/bin/docker ps --quiet)
  [ -n "$ids" ] || return 0
  # shellcheck disable=SC2016,SC2086
  timeout 15 /usr/bin/docker inspect --format '{{range .NetworkSettings.Networks}}at {{.NetworkID}} {{.IPAddress}}
{{end}}{{range $port, $places := .NetworkSettings.Ports}}{{range $places}}port {{$port}} {{.HostIp}} {{.HostPort}}
{{end}}{{end}}' $ids | grep -v -e '::' -e '^$'
}

# addresses ID: the addresses of the containers in a network.
addresses() { echo "$containers" | sed -n "s/^at $1 \(.\)/\1/p"; }

# ports ID: "ADDRESS PORT PROTOCOL HOST_ADDRESS HOST_PORT" for each published port of the containers in a network.
ports() {
  echo "$containers" | while read -r kind first second third; do
    case "$kind" in
    at) if [ "$first" = "$1" ]; then address=$second; else address=; fi ;;
    port) [ -z "$address" ] || echo "$address ${first%/*} ${first#*/} $second $third" ;;
    esac
  done
}

# running_key KEY: its value in the daemon.json of the running daemon.
running_key() { sed -n "s/^$1 //p" "$RUN/running"; }

accept_mark() {
  mark=$(running_key bridge-accept-fwmark)
  case "$mark" in
  '') ;;
  */*) echo "meta mark and $((${mark#*/})) == $((${mark%/*})) counter accept comment \"ALLOW FW MARK\"" ;;
  *) echo "meta mark $((mark)) counter accept comment \"ALLOW FW MARK\"" ;;
  esac
}

# dnat_published BRIDGE ID
dnat_published() {
  ports "$2" | while read -r address port protocol host_address host_port; do
    [ "$host_address" = 0.0.0.0 ] && match='' || match="ip daddr $host_address"
    echo "iifname != $1 $match $protocol dport $host_port counter dnat to $address:$port comment \"DNAT\""
  done
}

# drop_remote_loopback ID
drop_remote_loopback() {
  ports "$1" | while read -r _ _ protocol host_address host_port; do
    case "$host_address" in
    127.*) echo "iifname != lo ip daddr $host_address $protocol dport $host_port counter drop comment \"DROP REMOTE LOOPBACK\"" ;;
    esac
  done
}

# accept_ports ID
accept_ports() {
  ports "$1" | sort -u -k 1,3 | sed 's/^\([^ ]*\) \([^ ]*\) \([^ ]*\) .*/ip daddr \1 \3 dport \2 counter accept/'
}

# drop_direct_access BRIDGE ID
drop_direct_access() {
  [ "$(running_key allow-direct-routing)" = true ] ||
    addresses "$2" | sed "s/.*/ip daddr & iifname != { $1, } counter drop comment \"DROP DIRECT ACCESS\"/"
}

# bridge_rules NAME ID SUBNET: the chains of a bridge, and the map elements that jump to them.
bridge_rules() {
  cat <<END
table ip docker-bridges {
  chain filter-forward-in__$1 {
    ct state established,related counter accept
    $(accept_mark)
    iifname == $1 counter accept comment "ICC"
    $(accept_ports "$2")
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
    $(dnat_published "$1" "$2")
  }
  chain raw-PREROUTING {
    $(drop_direct_access "$1" "$2")
    $(drop_remote_loopback "$2")
  }
}
END
}

# base_table FAMILY LOOPBACK
base_table() {
  cat <<END
table $1 docker-bridges {
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
    $1 daddr != $2 fib daddr type local counter jump nat-prerouting-and-output
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
[ "$(running_key firewall-backend)" = nftables ] && [ ! -e "$RUN/stopping" ] || exit 0
containers=$(containers || true)
ruleset=$(
  base_table ip 127.0.0.0/8
  base_table ip6 ::1
  networks | while read -r name id subnet; do bridge_rules "$name" "$id" "$subnet"; done
)
# Like Docker, replaces nothing that is unchanged, so that its counters stay.
if [ "$ruleset" != "$(cat "$RUN/ruleset" 2>/dev/null)" ] || ! nft list table ip docker-bridges >/dev/null 2>&1; then
  {
    for family in ip ip6; do printf 'table %s docker-bridges {\n}\ndelete table %s docker-bridges\n' "$family" "$family"; done
    printf '%s\n' "$ruleset"
  } | nft -f -
  printf '%s\n' "$ruleset" >"$RUN/ruleset"
fi

# Holds what was made to be probed, and notes where pings come from meanwhile. Follows sections.sh and probe.sh.
# All of it lasts as long as this script's stdin, which ends with the session, whatever becomes of the controller.
# shellcheck shell=dash disable=SC2154

# A set that remembers source, destination and length of pings, as they go on to a container or come in at the host.
# Both hooks are behind all translation of addresses.
table() {
  echo "table inet dockmesh-status-$$ {
  set v4 { typeof ip saddr . ip daddr . ip length; flags dynamic; size 65535; }
  set v6 { typeof ip6 saddr . ip6 daddr . ip6 length; flags dynamic; size 65535; }
  chain forwarded { type filter hook postrouting priority 300; jump seen; }
  chain taken { type filter hook input priority 300; jump seen; }
  chain seen {"
  echo "ip daddr $1 icmp type echo-request add @v4 { ip saddr . ip daddr . ip length }"
  [ "$2" = - ] || echo "ip6 daddr $2 icmpv6 type echo-request add @v6 { ip6 saddr . ip6 daddr . ip6 length }"
  printf '}\n}\n'
}

# observe PREFIX PREFIX6: pings to the prefixes, with - for none of IPv6. Without nft, or with one too old for such a set,
# nothing is noted.
observe() { { table "$@" | nft -f -; } >/dev/null 2>&1; }

# What was noted, and no more of it.
seen() {
  nft list table inet "dockmesh-status-$$"
  found=$?
  nft delete table inet "dockmesh-status-$$" 2>/dev/null
  return "$found"
}

# The tables of scripts that were killed.
sweep() {
  nft list tables inet 2>/dev/null | while read -r _ _ name; do
    pid=${name#dockmesh-status-}
    case "$pid" in "$name" | '' | *[!0-9]*) continue ;; esac
    [ -e "/proc/$pid" ] || nft delete table inet "dockmesh-status-$pid"
  done
}

# hold SECONDS TARGET...: the answer so far is complete; the rest of it follows when stdin ends, or after that time, and
# ends the script.
hold() {
  section end true
  section held true
  sweep
  timeout "$1" cat >/dev/null
  section seen seen
  [ "$5" != namespace ] || section release release "$4"
  section end true
  exit
}

# Holds the probe target, and meanwhile records the source addresses of pings. Needs output.sh and probe.sh.
# Target and recording last as long as the stdin of this script, which ends with the SSH session, even if the controller is
# killed.
# shellcheck shell=dash disable=SC2154

# observation_table ADDRESSES ADDRESSES6: an nft table with sets that record source, destination and ICMP id of pings to
# these addresses, when the host forwards them to a container or receives them. Both hooks run after all NAT.
observation_table() {
  echo "table inet dockmesh-status-$$ {
  set v4 { typeof ip saddr . ip daddr . icmp id; flags dynamic; size 65535; }
  set v6 { typeof ip6 saddr . ip6 daddr . icmpv6 id; flags dynamic; size 65535; }
  chain forwarded { type filter hook postrouting priority 300; jump record; }
  chain received { type filter hook input priority 300; jump record; }
  chain record {"
  echo "ip daddr $1 icmp type echo-request add @v4 { ip saddr . ip daddr . icmp id }"
  [ "$2" = - ] || echo "ip6 daddr $2 icmpv6 type echo-request add @v6 { ip6 saddr . ip6 daddr . icmpv6 id }"
  printf '}\n}\n'
}

# start_observation PREFIX PREFIX6: records pings to the prefixes; "-" is no IPv6 prefix. Records nothing without nft, or
# with an nft that does not support such sets.
start_observation() { { observation_table "$@" | nft -f -; } >/dev/null 2>&1; }

# Prints the recorded pings and ends the recording.
observed_pings() {
  nft list table inet "dockmesh-status-$$"
  status=$?
  nft delete table inet "dockmesh-status-$$" 2>/dev/null
  return "$status"
}

# Removes the tables of scripts that were killed.
remove_stale_tables() {
  nft list tables inet 2>/dev/null | while read -r _ _ table; do
    pid=${table#dockmesh-status-}
    case "$pid" in "$table" | '' | *[!0-9]*) continue ;; esac
    [ -e "/proc/$pid" ] || nft delete table inet "dockmesh-status-$pid"
  done
}

# hold SECONDS [ADDRESS ADDRESS6 PID KIND MTU], the last five as container_target prints them: completes the output so far,
# waits until stdin ends or the time is over, prints the rest and ends the script.
hold() {
  run_section end true
  run_section held true
  remove_stale_tables
  timeout "$1" cat >/dev/null
  run_section observed_pings observed_pings
  [ "$5" != namespace ] || run_section release release_namespace "$4"
  run_section end true
  exit
}

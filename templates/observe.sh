# Holds the probe target, and meanwhile records the source addresses of pings. Needs output.sh and probe.sh.
# Target and recording last as long as the stdin of this shell, which ends with the SSH session, even if the controller is
# killed. Meanwhile the shell runs further scripts, such as the probes of the host.
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

# finish_target: prints the observed pings and removes all that the target needed, at the end of the shell. TARGET is what
# container_target has printed, or empty.
finish_target() {
  remove_stale_tables
  run_section observed_pings observed_pings
  # shellcheck disable=SC2086
  set -- $TARGET
  [ "$4" != namespace ] || run_section release release_namespace "$3"
  emit_section end 0 ''
}

# hold: completes the output so far, and waits for a line on stdin. The shell then continues with the script after that
# line. It ends at the end of stdin, or after HOLD_S seconds. Only the inner shell leaves the rest of stdin unread.
hold() {
  emit_section end 0 ''
  emit_section held 0 ''
  timeout "$HOLD_S" sh -c 'read -r _' || exit
}

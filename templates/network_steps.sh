# Steps that change routes, firewall chains, nft tables and forwarding. A host also runs them by itself, to restore its
# part of the mesh. Every step may run again, and changes only what differs. Needs output.sh.
# shellcheck shell=dash disable=SC2154

# What restore printed when it last failed, and the checksum of a state in which it had nothing to do.
PROBLEMS=/run/dockmesh.problems
RESTORED=/run/dockmesh.restored

# restore_if_changed FAMILY...: runs restore, unless the kernel has a state in which it had nothing to do. Comparing a
# checksum takes a fraction of the time, and the timer runs this twice a minute. After a repair, the next run checks the
# result, so that no change in between is missed. A state that changes during the run is not stored: restore may have seen
# the later one. Neither is one without a checksum, nor one for which /run has no space.
restore_if_changed() {
  state=$(kernel_state "$@")
  { read -r complete <"$RESTORED"; } 2>/dev/null || complete=
  [ -z "$state" ] || [ "$state" != "$complete" ] || return 0
  report_changed restore || { failed=$?; rm -f "$RESTORED"; return "$failed"; }
  [ -z "$output" ] && [ -n "$state" ] && [ "$(kernel_state "$@")" = "$state" ] || return 0
  { printf '%s\n' "$state" >"$RESTORED"; } 2>/dev/null || rm -f "$RESTORED"
}

# kernel_state FAMILY...: the checksum of this script and of all that it restores.
kernel_state() {
  {
    cat "$0" /proc/sys/net/ipv4/ip_forward
    for family in "$@"; do
      case "$family" in 4) iptables=iptables-save ip=ip ;; *) iptables=ip6tables-save ip=ip6 ;; esac
      nft -s list table "$ip" dockmesh
      # "linkdown" comes and goes with the carrier.
      ip "-$family" route show proto 201 | sed 's/ linkdown//'
      ! command -v "$iptables" >/dev/null || "$iptables" | awk '
        /^\*/ { table = $1 }
        $1 != "-A" { next }
        / --comment dockmesh( |$)/ { print table, $0, (table, $2) in others; next }
        { others[table, $2] }'
    done
  } 2>&1 | sha256sum
}

# report_changed COMMAND: runs the command, and prints its output as one line, unless it fails with the same output as the
# last run. A problem may stay for days.
report_changed() {
  output=$("$@" 2>&1)
  status=$?
  [ -z "$output" ] || output=$(printf '%s\n' "$output" | sort -u | paste -s -d ';' -)
  if [ "$status" = 0 ]; then
    rm -f "$PROBLEMS"
  elif [ "$output" = "$(cat "$PROBLEMS" 2>/dev/null)" ]; then
    return "$status"
  else
    echo "$output" >"$PROBLEMS"
  fi
  [ -z "$output" ] || echo "$output"
  return "$status"
}

# change_routes FAMILY, with lines for ip -batch on stdin. A route that is already deleted is no failure, and a route that
# cannot be set does not prevent the others. Equal messages, such as one per peer, are printed once.
change_routes() {
  problems=$(ip "-$1" -force -batch - 2>&1)
  case "$?" in 0) return 0 ;; 1) ;; *) echo "ip ended early: $problems"; return 1 ;; esac
  problems=$(printf '%s\n' "$problems" | grep -v -e 'No such process' -e '^Command failed' | sort -u)
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

# restore_routes FAMILY, with lines for ip -batch on stdin: sets the routes that are missing.
restore_routes() {
  wanted=$(cat)
  missing=$({ ip "-$1" route show proto 201; echo @; printf '%s\n' "$wanted"; } | awk '
    $0 == "@" { is_wanted = 1; next }
    # Listed: PREFIX via HOP dev DEVICE metric 4201 [flags]. Wanted: route replace PREFIX via HOP dev DEVICE proto 201 ...
    !is_wanted && $2 == "via" && $6 == "metric" && $7 == 4201 { present[$1, $3, $5]; next }
    is_wanted && !(($3, $5, $7) in present)')
  [ -n "$missing" ] || return 0
  printf '%s\n' "$missing" | change_routes "$1" && restored "routes"
}

# In the next functions IPTABLES is iptables or ip6tables.

# table_rules IPTABLES TABLE: the table as saved. The save command exits 0 but prints a comment instead of the rules if the
# table contains a rule that only nft knows.
table_rules() {
  saved=$("$1-save" -t "$2") || return 1
  case "$saved" in *' is incompatible'*) echo "$saved" >&2; return 1 ;; esac
  printf '%s\n' "$saved"
}

# put_accept_rules IPTABLES TABLE CHAIN, with all rules of dockmesh in this chain on stdin as iptables -S prints them: makes
# them the first rules of the chain, atomically. If they are, they stay: even a short moment without them drops packets.
put_accept_rules() {
  wanted=$(cat)
  saved=$(table_rules "$1" "$2") || return 1
  changes=$(printf '%s\n@\n%s\n' "$wanted" "$saved" | awk -v chain="$3" '
    $0 == "@" && !is_actual { is_actual = 1; next }
    !is_actual { if ($0 != "") wanted[++wanted_count] = "-A " chain " " $0; next }
    $1 != "-A" || $2 != chain { next }
    / --comment dockmesh( |$)/ { actual[++actual_count] = $0; late += others; next }
    { others = 1 }
    END {
      same = actual_count == wanted_count && !late
      for (n = 1; n <= wanted_count; n++) if (actual[n] != wanted[n]) same = 0
      if (same) exit
      for (n = 1; n <= actual_count; n++) print "-D" substr(actual[n], 3)
      for (n = wanted_count; n >= 1; n--) print "-I " chain " 1 " substr(wanted[n], length(chain) + 5)
    }')
  [ -n "$changes" ] || return 0
  printf '*%s\n%s\nCOMMIT\n' "$2" "$changes" | "$1-restore" -w 10 --noflush && restored "$1 rule in $2 $3"
}

# restored WHAT: reports a repair by dockmesh.service. A transaction ignores it.
restored() { echo "restored: $1"; }

# nft_changes FAMILY, with the wanted table, a line "@" and the listed table on stdin: the commands for nft that make the
# listed table equal. If only elements of sets differ, they add and delete these, and all else stays, with its counters.
nft_changes() {
  awk -v family="$1" '
    { line = $0; gsub(/^[ \t]+|[ \t]+$/, "", line) }
    line == "@" { listed = 1; next }
    !listed { lines[++count] = $0 }
    line == "" { next }
    line ~ /^type / {
      sub(/ priority raw - 10;/, " priority -310;", line)
      sub(/ priority filter - 1;/, " priority -1;", line)
      sub(/ priority srcnat - 1;/, " priority 99;", line)
    }
    line ~ /^set / { split(line, words, " "); set = words[2] }
    sub(/^elements = \{/, "", line) { in_elements = 1 }
    in_elements {
      complete = sub(/\}$/, "", line)
      found = split(line, elements, ",")
      for (n = 1; n <= found; n++) {
        gsub(/[ \t]/, "", elements[n])
        if (elements[n] == "") continue
        if (listed) actual[set " { " elements[n] " }"]
        else wanted[set " { " elements[n] " }"]
      }
      in_elements = !complete
      next
    }
    { rest[listed + 0] = rest[listed + 0] line "\n" }
    END {
      if (rest[0] != rest[1]) {
        # The empty table makes the deletion succeed where there is none yet.
        print "table " family " dockmesh {\n}\ndelete table " family " dockmesh"
        for (n = 1; n <= count; n++) print lines[n]
        exit
      }
      for (each in actual) if (!(each in wanted)) print "delete element " family " dockmesh " each
      for (each in wanted) if (!(each in actual)) print "add element " family " dockmesh " each
    }'
}

# put_nft_table FAMILY, with dockmesh's table of that nft family on stdin: changes the table atomically. Connections keep
# their addresses.
put_nft_table() {
  table=$(cat)
  changes=$(printf '%s\n@\n%s\n' "$table" "$(nft -s list table "$1" dockmesh 2>/dev/null)" | nft_changes "$1")
  [ -n "$changes" ] || return 0
  case "$changes" in table*) what="table $1 dockmesh" ;; *) what="peers in table $1 dockmesh" ;; esac
  printf '%s\n' "$changes" | nft -f - && restored "$what"
}

# remove_nft_table FAMILY
remove_nft_table() { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1" | nft -f -; }

# put_forwarding IPTABLES KEY VALUE [POLICY]: sets the sysctl KEY, and the policy of the chain FORWARD if there is one.
put_forwarding() {
  printf '%s\n' "$3" >"/proc/sys/$(echo "$2" | tr . /)" || return 1
  [ -z "${4-}" ] || ! command -v "$1" >/dev/null || "$1" -w 10 -P FORWARD "$4"
}

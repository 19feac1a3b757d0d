# Steps that change routes, firewall chains, nft tables and forwarding. A host also runs them by itself, to restore its
# part of the mesh. Every step may run again, and changes only what differs. Needs output.sh.
# shellcheck shell=dash disable=SC2154

# The output of the last run that restored routes and rules, if it had any.
PROBLEMS=/run/dockmesh.problems

# report_changed COMMAND: runs the command, and prints its output as one line, unless the last run printed the same. The
# timer runs it twice a minute, and a problem may stay for days.
report_changed() {
  output=$("$@" 2>&1)
  status=$?
  if [ -z "$output" ]; then
    [ ! -e "$PROBLEMS" ] || rm -f "$PROBLEMS"
    return "$status"
  fi
  output=$(printf '%s\n' "$output" | sort -u | tr '\n' ' ')
  if [ "$output" != "$(cat "$PROBLEMS" 2>/dev/null)" ]; then
    echo "$output" >"$PROBLEMS"
    echo "$output"
  fi
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

# In the next functions IPTABLES is iptables or ip6tables.

# table_rules IPTABLES TABLE: the table as saved. The save command exits 0 but prints a comment instead of the rules if the
# table contains a rule that only nft knows.
table_rules() {
  saved=$("$1-save" -t "$2") || return 1
  case "$saved" in *' is incompatible'*) echo "$saved" >&2; return 1 ;; esac
  printf '%s\n' "$saved"
}

# chain_diff IPTABLES TABLE CHAIN HOOK, with the wanted rules of the chain on descriptor 3: the lines for iptables-restore
# that give the chain these rules and exactly one jump to it from HOOK. Prints nothing if that is so already. In nat the
# jump must come first, since only the first matching rule counts and Docker puts its masquerades first.
chain_diff() {
  saved=$(table_rules "$1" "$2") || return 1
  printf '%s\n' "$saved" | awk -v table="$2" -v chain="$3" -v hook="$4" '
    !is_actual { wanted[++wanted_count] = $0; next }
    $1 == ":" chain { exists = 1 }
    $1 != "-A" { next }
    $2 == chain { differences += $0 != wanted[++actual_count] }
    $2 == hook && !first { first = $0 }
    substr($0, length($0) - length(chain) - 3) == " -j " chain { jumps[++jump_count] = $0 }
    END {
      if (!exists || differences || actual_count != wanted_count) {
        print ":" chain " - [0:0]"
        for (n = 1; n <= wanted_count; n++) print wanted[n]
      }
      wanted_jump = "-A " hook " -j " chain
      if (jump_count == 1 && jumps[1] == wanted_jump && (table != "nat" || first == wanted_jump)) exit
      for (n = 1; n <= jump_count; n++) print "-D" substr(jumps[n], 3)
      print "-I " hook " 1 -j " chain
    }' /dev/fd/3 is_actual=1 -
}

# put_chain IPTABLES TABLE CHAIN HOOK, with its rules on stdin as iptables -S prints them: fills the chain and makes HOOK
# jump to it first, atomically. Rules and a jump that are already right stay: even a short moment without the jump drops
# packets.
put_chain() {
  changes=$(chain_diff "$@" 3<&0) || return 1
  [ -z "$changes" ] || printf '*%s\n%s\nCOMMIT\n' "$2" "$changes" | "$1-restore" -w 10 --noflush
}

# remove_chain IPTABLES TABLE CHAIN: removes the chain and every jump to it, atomically.
remove_chain() {
  saved=$(table_rules "$1" "$2") || return 1
  changes=$(printf '%s\n' "$saved" | awk -v chain="$3" '
    $1 == ":" chain { exists = 1 }
    $1 == "-A" && substr($0, length($0) - length(chain) - 3) == " -j " chain { print "-D" substr($0, 3) }
    END { if (exists) { print "-F " chain; print "-X " chain } }')
  [ -z "$changes" ] || printf '*%s\n%s\nCOMMIT\n' "$2" "$changes" | "$1-restore" -w 10 --noflush
}

# normalize_nft RULESET: makes what nft lists comparable with what dockmesh writes. They differ in blanks and in the names of
# priorities only.
normalize_nft() {
  set -f
  # shellcheck disable=SC2086
  set -- $1
  set +f
  ruleset=$*
  for pair in 'priority filter - 1;=priority -1;' 'priority srcnat - 1;=priority 99;'; do
    case "$ruleset" in
      *"${pair%=*}"*) ruleset="${ruleset%%"${pair%=*}"*}${pair#*=}${ruleset#*"${pair%=*}"}" ;;
    esac
  done
  echo "$ruleset"
}

# put_nft_table FAMILY, with dockmesh's table of that nft family on stdin: replaces the table atomically. Connections keep
# their addresses. An equal table stays, and its counters with it.
put_nft_table() {
  table=$(cat)
  [ "$(normalize_nft "$(nft -s list table "$1" dockmesh 2>/dev/null)")" != "$(normalize_nft "$table")" ] || return 0
  # The empty table makes the deletion succeed where there is none yet.
  { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1"; printf '%s\n' "$table"; } | nft -f -
}

# remove_nft_table FAMILY
remove_nft_table() { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1" | nft -f -; }

# put_forwarding IPTABLES KEY VALUE [POLICY]: sets the sysctl KEY, and the policy of the chain FORWARD if there is one.
put_forwarding() {
  printf '%s\n' "$3" >"/proc/sys/$(echo "$2" | tr . /)" || return 1
  [ -z "${4-}" ] || ! command -v "$1" >/dev/null || "$1" -w 10 -P FORWARD "$4"
}

# One resource each. Every verb may be run again, and disturbs nothing that is as it should be.
# Follows sections.sh.
# shellcheck shell=dash disable=SC2154

# change_routes FAMILY, lines for ip -batch on stdin. A route to delete that is gone already is no failure; one that
# cannot be set does not keep the others from it.
change_routes() {
  problems=$(ip "-$1" -force -batch - 2>&1)
  case "$?" in 0) return 0 ;; 1) ;; *) echo "ip ended early: $problems"; return 1 ;; esac
  problems=$(printf '%s\n' "$problems" | grep -v -e 'No such process' -e '^Command failed')
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

# Of what follows, TABLES is iptables or ip6tables.

# rules_of TABLES TABLE: as saved. Where a rule that only nft knows stands in it, the command exits 0 and tells of none.
rules_of() {
  rules=$("$1-save" -t "$2") || return 1
  case "$rules" in *' is incompatible'*) echo "$rules" >&2; return 1 ;; esac
  printf '%s\n' "$rules"
}

# in_place TABLES TABLE NAME HOOK, the chain's rules as lines on descriptor 3: what iptables-restore has to do for the chain
# to have these, hooked by one jump alone; nothing where all is so. In nat the first rule wins, and Docker puts its
# masquerades first.
in_place() {
  has=$(rules_of "$1" "$2") || return 1
  printf '%s\n' "$has" | awk -v table="$2" -v chain="$3" -v hook="$4" '
    !saved { wanted[++count] = $0; next }
    $1 == ":" chain { there = 1 }
    $1 != "-A" { next }
    $2 == chain { other += $0 != wanted[++found] }
    $2 == hook && !first { first = $0 }
    substr($0, length($0) - length(chain) - 3) == " -j " chain { jump[++jumps] = $0 }
    END {
      if (!there || other || found != count) {
        print ":" chain " - [0:0]"
        for (n = 1; n <= count; n++) print wanted[n]
      }
      right = "-A " hook " -j " chain
      if (jumps == 1 && jump[1] == right && (table != "nat" || first == right)) exit
      for (n = 1; n <= jumps; n++) print "-D" substr(jump[n], 3)
      print "-I " hook " 1 -j " chain
    }' /dev/fd/3 saved=1 -
}

# put_chain TABLES TABLE NAME HOOK, its rules on stdin as iptables -S prints them: filled and hooked in first place at one
# blow. Where rules or jump are right already they stay, since a chain unhooked for a moment drops packets.
put_chain() {
  steps=$(in_place "$@" 3<&0) || return 1
  [ -z "$steps" ] || printf '*%s\n%s\nCOMMIT\n' "$2" "$steps" | "$1-restore" -w 10 --noflush
}

# squeezed TEXT. As nft lists a table, and as dockmesh writes it, the difference is in blanks and in the names of priorities.
squeezed() {
  set -f
  # shellcheck disable=SC2086
  set -- $1
  set +f
  text=$*
  for names in 'priority filter - 1;=priority -1;' 'priority srcnat - 1;=priority 99;'; do
    case "$text" in *"${names%=*}"*) text="${text%%"${names%=*}"*}${names#*=}${text#*"${names%=*}"}" ;; esac
  done
  echo "$text"
}

# put_nat FAMILY, the table dockmesh of that family of nft's on stdin: put in the place of another one at one blow;
# connections keep the addresses they have. Where it is the same it stays, and with it what its rules have counted.
put_nat() {
  table=$(cat)
  [ "$(squeezed "$(nft -s list table "$1" dockmesh 2>/dev/null)")" != "$(squeezed "$table")" ] || return 0
  { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1"; printf '%s\n' "$table"; } | nft -f -
}

# put_forwarding TABLES KEY VALUE [POLICY]: whether the host forwards, and with it the policy for what is forwarded.
put_forwarding() {
  printf '%s\n' "$3" >"/proc/sys/$(echo "$2" | tr . /)" || return 1
  [ -z "${4-}" ] || ! command -v "$1" >/dev/null || "$1" -w 10 -P FORWARD "$4"
}

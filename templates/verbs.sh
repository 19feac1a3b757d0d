# One resource each. Every verb may be run again, and disturbs nothing that is as it should be.
# Follows sections.sh.
# shellcheck shell=dash disable=SC2154

# change_routes FAMILY, lines for ip -batch on stdin. A route to delete that is gone already is no failure; one that
# cannot be set does not keep the others from it.
change_routes() {
  problems=$(ip "-$1" -force -batch - 2>&1 | grep -v -e 'No such process' -e '^Command failed')
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

# Of what follows, TABLES is iptables or ip6tables.

# jumps TABLES TABLE NAME
jumps() { "$1" -w 10 -t "$2" -S | grep -- " -j $3\$"; }

unhook() {
  jumps "$1" "$2" "$3" | sed 's/^-A/-D/' | while read -r jump; do
    # A jump's words hold no blanks.
    # shellcheck disable=SC2086
    "$1" -w 10 -t "$2" $jump
  done
}

# hooked TABLES TABLE NAME HOOK: by one jump. In nat the first rule wins, and Docker puts its masquerades first.
hooked() {
  [ "$(jumps "$1" "$2" "$3")" = "-A $4 -j $3" ] || return 1
  [ "$2" != nat ] || "$1" -w 10 -t nat -S "$4" | grep -m 1 '^-A' | grep -q -e " -j $3\$"
}

# put_chain TABLES TABLE NAME HOOK, its rules on stdin as iptables -S prints them: filled at one blow, then hooked in
# first place. Where rules or jump are right already they stay, since a chain unhooked for a moment drops packets.
put_chain() {
  rules=$(cat)
  if [ "$("$1" -w 10 -t "$2" -S "$3" 2>/dev/null | grep '^-A')" != "$rules" ]; then
    printf '*%s\n:%s - [0:0]\n%s\nCOMMIT\n' "$2" "$3" "$rules" | "$1-restore" -w 10 --noflush || return 1
  fi
  hooked "$@" || { unhook "$1" "$2" "$3" && "$1" -w 10 -t "$2" -I "$4" 1 -j "$3"; }
}

# As nft lists a table, and as dockmesh writes it, the difference is in blanks and in the names of priorities.
squeezed() { tr -s '[:space:]' ' ' | sed 's/priority filter - 1;/priority -1;/; s/priority srcnat - 1;/priority 99;/'; }

# put_nat FAMILY, the table dockmesh of that family of nft's on stdin: put in the place of another one at one blow;
# connections keep the addresses they have. Where it is the same it stays, and with it what its rules have counted.
put_nat() {
  table=$(cat)
  [ "$(nft -s list table "$1" dockmesh 2>/dev/null | squeezed)" != "$(printf '%s\n' "$table" | squeezed)" ] || return 0
  { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1"; printf '%s\n' "$table"; } | nft -f -
}

# put_forwarding TABLES KEY VALUE [POLICY]: whether the host forwards, and with it the policy for what is forwarded.
put_forwarding() {
  printf '%s\n' "$3" >"/proc/sys/$(echo "$2" | tr . /)" || return 1
  [ -z "${4-}" ] || ! command -v "$1" >/dev/null || "$1" -w 10 -P FORWARD "$4"
}

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

# put_nat FAMILY, the table dockmesh of that family of nft's on stdin: put in the place of the present one at one blow,
# also where that is the same; connections keep the addresses they have.
put_nat() {
  { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1"; cat; } | nft -f -
}

# One resource each. Every verb may be run again, and disturbs nothing that is as it should be.
# Follows sections.sh.
# shellcheck shell=dash disable=SC2154

# change_routes, lines for ip -batch on stdin. A route to delete that is gone already is no failure; one that cannot be
# set does not keep the others from it.
change_routes() {
  problems=$(ip -4 -force -batch - 2>&1 | grep -v -e 'No such process' -e '^Command failed')
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

jumps() { iptables -w 10 -t "$1" -S | grep -- " -j $2\$"; }

unhook() {
  jumps "$1" "$2" | sed 's/^-A/-D/' | while read -r jump; do
    # A jump's words hold no blanks.
    # shellcheck disable=SC2086
    iptables -w 10 -t "$1" $jump
  done
}

# hooked TABLE NAME HOOK: by one jump. In nat the first rule wins, and Docker puts its masquerades first.
hooked() {
  [ "$(jumps "$1" "$2")" = "-A $3 -j $2" ] || return 1
  [ "$1" != nat ] || iptables -w 10 -t nat -S "$3" | grep -m 1 '^-A' | grep -q -e " -j $2\$"
}

# put_chain TABLE NAME HOOK, its rules on stdin as iptables -S prints them: filled at one blow, then hooked in first
# place. Where rules or jump are right already they stay, since a chain unhooked for a moment drops packets.
put_chain() {
  rules=$(cat)
  if [ "$(iptables -w 10 -t "$1" -S "$2" 2>/dev/null | grep '^-A')" != "$rules" ]; then
    printf '*%s\n:%s - [0:0]\n%s\nCOMMIT\n' "$1" "$2" "$rules" | iptables-restore -w 10 --noflush || return 1
  fi
  hooked "$@" || { unhook "$1" "$2" && iptables -w 10 -t "$1" -I "$3" 1 -j "$2"; }
}

# put_nat, the table ip dockmesh on stdin: put in the place of the present one at one blow, also where that is the same;
# connections keep the addresses they have.
put_nat() {
  { printf 'table ip dockmesh {\n}\ndelete table ip dockmesh\n'; cat; } | nft -f -
}

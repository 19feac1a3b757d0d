#!/bin/sh
# What every script of dockmesh begins with: the form of its answer, and what several of them ask of Docker.
# Sections: a line "@NAME STATUS", then what the command wrote, every line behind one blank, so that nothing a host
# prints can pass for a section. "@end" closes the answer.

LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
LINE='
'

# Asked over a listening docker.socket, a Docker that someone stopped would start.
awake() { systemctl is-active --quiet docker.service 2>/dev/null; }

# What the running Docker lets in with nftables of what is routed to containers, as its own rules tell: by which mark, or
# "none"; and "no" where they drop it before that. What they do not tell is "?": without a container there is no such drop.
docker_admits() {
  rules=$(nft -s list table ip docker-bridges 2>/dev/null)
  into=$(printf '%s\n' "$rules" | sed -n '/chain filter-forward-in__docker0 {/,/}/p')
  mark=$(printf '%s\n' "$into" | sed -n 's,.*meta mark \(0x[0-9a-f]*\) counter accept .*,\1/0xffffffff,p
    s,.*meta mark & \(0x[0-9a-f]*\) == \(0x[0-9a-f]*\) counter accept .*,\2/\1,p')
  case "$into" in *'"UNPUBLISHED PORT DROP"'*) : "${mark:=none}" ;; esac
  case "$rules" in *'"DROP DIRECT ACCESS"'*) echo "${mark:-?} no" ;; *) echo "${mark:-?} ?" ;; esac
}

# told NAME STATUS TEXT: a section.
told() {
  printf '@%s %s\n' "$1" "$2"
  [ -n "$3" ] || return 0
  # Cut into its lines by the shell itself, which starts no program for that; empty lines go, and mean nothing.
  IFS=$LINE
  set -f
  # shellcheck disable=SC2086
  printf ' %s\n' $3
  set +f
  unset IFS
}

# section NAME COMMAND...: of what that says.
section() {
  name=$1
  shift
  text=$("$@" 2>&1 </dev/null)
  told "$name" "$?" "$text"
}

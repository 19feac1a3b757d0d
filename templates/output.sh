#!/bin/sh
# The first part of every dockmesh script: it defines how a script reports, and what several scripts ask about Docker.
# Output is a series of sections. A section starts with the line "@NAME STATUS". The lines that the command printed
# follow, each after one blank, so that no host output can pass for a section head. "@end" closes the output.

LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
LINE='
'

# dash interprets backslashes in the arguments of its own echo. Names of interfaces and error messages may contain some.
echo() { printf '%s\n' "$*"; }

# Callers check this before any docker command: while docker.socket listens, a docker command would start a stopped Docker.
docker_active() { systemctl is-active --quiet docker.service 2>/dev/null; }

# Which routed packets the running Docker accepts for its containers, read from the nftables rules it wrote itself.
# Prints "MARK DIRECT". MARK is the mark that Docker accepts, or "none". DIRECT is "no" if Docker drops such packets in
# raw PREROUTING. "?" is unknown: Docker writes these drops only when there is a container.
nft_admission() {
  ruleset=$(nft -s list table ip docker-bridges 2>/dev/null)
  chain=$(printf '%s\n' "$ruleset" | sed -n '/chain filter-forward-in__docker0 {/,/}/p')
  mark=$(printf '%s\n' "$chain" | sed -n 's,.*meta mark \(0x[0-9a-f]*\) counter accept .*,\1/0xffffffff,p
    s,.*meta mark & \(0x[0-9a-f]*\) == \(0x[0-9a-f]*\) counter accept .*,\2/\1,p')
  case "$chain" in *'"UNPUBLISHED PORT DROP"'*) : "${mark:=none}" ;; esac
  case "$ruleset" in *'"DROP DIRECT ACCESS"'*) echo "${mark:-?} no" ;; *) echo "${mark:-?} ?" ;; esac
}

# emit_section NAME STATUS TEXT: prints a section.
emit_section() {
  printf '@%s %s\n' "$1" "$2"
  [ -n "$3" ] || return 0
  # Word splitting cuts the text into lines without starting a program. It drops empty lines, which have no meaning here.
  IFS=$LINE
  set -f
  # shellcheck disable=SC2086
  printf ' %s\n' $3
  set +f
  unset IFS
}

# run_section NAME COMMAND...: prints a section with the output of the command, which stays in section_text.
run_section() {
  section_name=$1
  shift
  section_text=$("$@" 2>&1 </dev/null)
  emit_section "$section_name" "$?" "$section_text"
}

#!/bin/sh
# The first part of every dockmesh script: it defines how a script reports, and what several scripts ask about Docker and
# about unconfirmed changes.
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

# emit_unconfirmed: the section "pending" about a change that waits for its confirmation, and the section "reverted_change"
# about one that the host reverted by itself. Both have times in seconds from now, because the clocks of hosts differ.
emit_unconfirmed() {
  if [ -e /etc/dockmesh/pending/run ]; then
    run_section pending pending_change
  else
    emit_section pending 1 ''
  fi
  if [ -e /etc/dockmesh/reverted ]; then
    run_section reverted_change reverted_change
  else
    emit_section reverted_change 1 ''
  fi
}

# The lines "run RUN"; "reverts_in SECONDS" while a timer runs; and after a failed revert "failed ATTEMPTS AGE PROBLEM".
pending_change() {
  echo "run $(cat /etc/dockmesh/pending/run)"
  systemctl show dockmesh-revert.timer --property=NextElapseUSecMonotonic --value 2>/dev/null | awk '
    /^[0-9]/ {
      count = split("y 31557600 month 2629800 w 604800 d 86400 h 3600 min 60 s 1 ms .001 us .000001", units)
      for (n = 1; n < count; n += 2) seconds[units[n]] = units[n + 1]
      getline uptime <"/proc/uptime"
      left = -uptime
      for (n = 1; n <= NF; n++) {
        unit = $n
        gsub(/[0-9.]/, "", unit)
        left += $n * seconds[unit]
      }
      if (left > 0) printf "reverts_in %d\n", left + .5
    }'
  { read -r attempts time problem </etc/dockmesh/pending/failed; } 2>/dev/null &&
    age=$(age "$time") && echo "failed $attempts $age $problem"
  return 0
}

# The line "AGE REASON RUN".
reverted_change() { read -r time reason run </etc/dockmesh/reverted && age=$(age "$time") && echo "$age $reason $run"; }

# age TIME: the seconds since a Unix time; 0 if the clock was set back since.
age() {
  case "$1" in '' | *[!0-9]*) return 1 ;; esac
  seconds=$(($(date +%s) - $1))
  echo "$((seconds > 0 ? seconds : 0))"
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

#!/bin/sh
# What every script of dockmesh begins with: the form of its answer.
# Sections: a line "@NAME STATUS", then what the command wrote, every line behind one blank, so that nothing a host
# prints can pass for a section. "@end" closes the answer.

LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH

# Asked over a listening docker.socket, a Docker that someone stopped would start.
awake() { systemctl is-active --quiet docker.service; }

section() {
  name=$1
  shift
  text=$("$@" 2>&1 </dev/null)
  printf '@%s %s\n' "$name" "$?"
  [ -z "$text" ] || printf '%s\n' "$text" | sed 's/^/ /'
}

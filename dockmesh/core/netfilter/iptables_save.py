"""The parser of iptables-save's output, with or without counters."""

import re
import shlex
from collections.abc import Iterable, Iterator

from dockmesh.core.host_output import printable

# The order in which a packet meets the tables in one hook.
TABLES = ("raw", "mangle", "nat", "filter", "security")
# The values of `-p` that ICMP matches.
ICMP_PROTOCOLS = frozenset({"icmp", "1", "all", "0"})
# Table, chain, and the text of the rule, or `policy TARGET` for the policy of the chain.
Key = tuple[str, str, str]
_POLICY = re.compile(r":(\S+) (\S+) \[(\d{1,20}):\d+\]")
_RULE = re.compile(r"(?:\[(\d{1,20}):\d+\] )?-A (\S+) (.*)")
# Longer than any rule of iptables. The time of shlex grows with the square of the length of a word.
_MAX_RULE_CHARACTERS = 1 << 12


def parse_rules(lines: Iterable[str]) -> Iterator[tuple[Key, int]]:
    """Yield the rules and policies with their packet counts; skip other lines."""
    table = ""
    for line in (line if line.isprintable() else printable(line) for line in lines):
        if line.startswith("*"):
            table = line[1:]
        elif found := _POLICY.fullmatch(line):
            yield (table, found[1], f"policy {found[2]}"), int(found[3])
        elif found := _RULE.fullmatch(line):
            yield (table, found[2], found[3]), int(found[1] or 0)


def rule_words(rule: str) -> list[str]:
    """The words of a rule; text in quotes is one word.

    Raises:
        ValueError: iptables cannot have written the rule.
    """
    if len(rule) > _MAX_RULE_CHARACTERS:
        raise ValueError(f"a rule of {len(rule)} characters")
    return shlex.split(rule) if '"' in rule else rule.split()


def interface_matches(device: str | None, value: str) -> bool:
    """Whether the value of `-i` or `-o` matches an interface; nothing matches None."""
    if device is None:
        return False
    return device.startswith(value[:-1]) if value.endswith("+") else device == value

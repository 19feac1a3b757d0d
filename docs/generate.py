"""Writes what the code says into the documentation: the reference, the man page, the table of causes.

`python -m docs.generate` writes the files; a test sees to it that they are up to date.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from dockmesh import __version__
from dockmesh.assets import VARIABLE, replaceable
from dockmesh.cli import cli
from dockmesh.core.explain.faults import CATALOGUE
from dockmesh.errors import ExitStatus

FOLDER = Path(__file__).parent
_MARK = "<!-- from here on: made by `make docs` from dockmesh/core/explain/faults.py -->\n"
_HEADS = "<!-- from here on: made by `make docs` from the first lines of the templates -->\n"
_EXAMPLE = "Example: "
_EXIT_CODES_BEGIN = "<!-- exit codes: made by `make docs` from docs/generate.py -->\n"
_EXIT_CODES_END = "<!-- end of the exit codes -->\n"
# What each exit code means, and what the guide says besides.
EXIT_CODES = {
    ExitStatus.DONE: ("The command succeeded. For `plan`: there are no changes.", ""),
    ExitStatus.INTERNAL_ERROR: ("dockmesh itself failed.", ""),
    ExitStatus.CHANGES_PENDING: ("`plan` found changes.", ""),
    ExitStatus.HOST_FAILED: (
        "A host failed, was refused, was reverted, is unreachable or has a conflict, or a probe failed.",
        "Also: `diff` found a new failure, or the lab failed.",
    ),
    ExitStatus.INVALID_CALL: (
        "The call or the inventory is invalid. No host was contacted.",
        "Also: an output file could not be written at the end.",
    ),
    ExitStatus.INTERRUPTED: (
        "The run was interrupted, or the question was not answered with y.",
        "Without a y nothing was changed. Interrupted during changes, it names the hosts that will revert, and when.",
    ),
}


def generated() -> Iterator[tuple[Path, str]]:
    """Every file with its text."""
    verbs = list(_verbs(cli, "dockmesh"))
    yield FOLDER / "reference.md", _reference(verbs)
    yield FOLDER / "dockmesh.1", _man(verbs)
    for page, details in ((FOLDER.parent / "README.md", False), (FOLDER / "guides" / "scripts.md", True)):
        before, _, rest = page.read_text(encoding="utf-8").partition(_EXIT_CODES_BEGIN)
        after = rest.partition(_EXIT_CODES_END)[2]
        yield page, f"{before}{_EXIT_CODES_BEGIN}{_exit_codes(details=details)}{_EXIT_CODES_END}{after}"
    templates = FOLDER / "guides" / "templates.md"
    yield templates, templates.read_text(encoding="utf-8").split(_HEADS)[0] + _HEADS + _templates()
    troubles = FOLDER / "troubleshooting.md"
    yield troubles, troubles.read_text(encoding="utf-8").split(_MARK)[0] + _MARK + _causes()


def _verbs(group: click.Group, called: str) -> Iterator[click.Context]:
    """A context for every verb, those of groups after the group."""
    # Without a width, click folds by the terminal it finds.
    context = click.Context(group, info_name=called, max_content_width=10_000, terminal_width=10_000)
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None, name
        if isinstance(verb, click.Group):
            yield click.Context(verb, info_name=f"{called} {name}")
            yield from _verbs(verb, f"{called} {name}")
        else:
            yield click.Context(verb, info_name=f"{called} {name}")


def _prose(verb: click.Context) -> list[str]:
    """The paragraphs of a verb's help, each on one line; its example is one of them."""
    paragraphs = (verb.command.help or "").strip().split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]


def _options(verb: click.Context) -> list[tuple[str, str]]:
    records = (each.get_help_record(verb) for each in verb.command.params if isinstance(each, click.Option))
    return [record for record in records if record]


def _usage(verb: click.Context) -> str:
    return " ".join((str(verb.info_name), *verb.command.collect_usage_pieces(verb)))


def _reference(verbs: list[click.Context]) -> str:
    parts = ["# Reference\n\nEvery verb with its options; made by `make docs` from the program itself.\n"]
    parts += [f"- [`{each.info_name}`](#{str(each.info_name).replace(' ', '-')})" for each in verbs]
    for verb in verbs:
        parts.append(f"\n## {verb.info_name}\n\n```\n{_usage(verb)}\n```\n")
        for paragraph in _prose(verb):
            example = paragraph.removeprefix(_EXAMPLE)
            parts.append(f"```sh\n{example}\n```\n" if example != paragraph else f"{_plain(paragraph)}\n")
        if options := _options(verb):
            parts += ["| option | |", "|---|---|"]
            parts += [f"| `{_cell(words)}` | {_cell(_plain(told))} |" for words, told in options]
    return "\n".join(parts).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    """Text in which Markdown finds no emphasis and no tags."""
    return text.replace("*", "\\*").replace("<", "&lt;")


def _man(verbs: list[click.Context]) -> str:
    lines = [
        f'.TH DOCKMESH 1 "" "dockmesh {__version__}" "User Commands"',
        ".SH NAME",
        "dockmesh \\- join Docker hosts into one plain\\-IP network over SSH",
        ".SH SYNOPSIS",
        ".B dockmesh\n.I VERB\n[OPTIONS] ...",
        ".SH DESCRIPTION",
        _roff(_prose(click.Context(cli))[0]),
        ".SH VERBS",
    ]
    for verb in verbs:
        lines.append(f".SS {_roff(_usage(verb))}")
        for paragraph in _prose(verb):
            lines += [".PP", _roff(paragraph)]
        for words, told in _options(verb):
            lines += [".TP", f".B {_roff(words)}", _roff(told)]
    meanings = (
        (code, f"{meaning} {detail}".replace("`", "").strip()) for code, (meaning, detail) in EXIT_CODES.items()
    )
    lines += [".SH EXIT STATUS", *(f".TP\n.B {code:d}\n{_roff(meaning)}" for code, meaning in meanings)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP\n.B DOCKMESH_INVENTORY\nThe inventory, where no \\-i names it.",
        f".TP\n.B {VARIABLE}\nA folder with templates in place of dockmesh's own.",
        ".TP\n.B NO_COLOR\nNo colours.",
        ".SH FILES",
        ".I inventory/mesh.yml\nand\n.I mesh.yml\nare looked for in the current folder, in this order.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _exit_codes(*, details: bool) -> str:
    texts = {code: f"{meaning} {detail * details}".rstrip() for code, (meaning, detail) in EXIT_CODES.items()}
    rows = (f"| {code:d} | {text} |" for code, text in texts.items())
    return "\n".join(("\n| code | meaning |", "|---|---|", *rows)) + "\n\n"


def _causes() -> str:
    rows = (f"| `{code}` | {entry.meaning} | {entry.remedy} |" for code, entry in CATALOGUE.items())
    return "\n".join(("\n| `code` | what it means | remedy |", "|---|---|---|", *rows)) + "\n"


def _templates() -> str:
    rows = (f"| {head.name} | {head.version} | {', '.join(head.variables)} |" for head in replaceable())
    return "\n".join(("\n| template | version | variables |", "|---|---|---|", *rows)) + "\n"


def main() -> None:
    """Write what is not up to date."""
    for file, text in generated():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            click.echo(file.name, err=True)


if __name__ == "__main__":
    main()

"""Groups of commands that suggest a name for a mistyped one."""

import click

from dockmesh.core.text import did_you_mean, quoted


class CommandGroup(click.Group):
    """A group whose error for an unknown command names the closest ones."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` start with.

        Raises:
            click.UsageError: no command has this name.
        """
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            suggestion = did_you_mean(name, self.list_commands(ctx), most=3)
            ctx.fail(f"no such command: {quoted(name)}{suggestion}")
        return super().resolve_command(ctx, args)

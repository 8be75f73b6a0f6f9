"""A click group that imports a command only when it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Union

import click


@dataclass(frozen=True)
class Entry:
    """Where a command is, as "module:attribute", and its help in one line."""

    path: str
    help: str


Table = Mapping[str, Union[Entry, "Table"]]


class LazyGroup(click.Group):
    """A group made of a table. Its list of commands is read from the table alone."""

    def __init__(self, table: Table, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command, or make the group of a noun."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        if not isinstance(entry, Entry):
            verbs = ", ".join(entry)
            return LazyGroup(entry, name=cmd_name, help=f"{cmd_name.capitalize()}: {verbs}.")
        module, _, attribute = entry.path.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands with the help of the table."""
        rows = [(name, self._help(name)) for name in self.table]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _help(self, name: str) -> str:
        entry = self.table[name]
        return entry.help if isinstance(entry, Entry) else ", ".join(entry)

"""Directives that write the options into the manual, from the code that declares them."""

from collections.abc import Iterable

import click
from docutils import nodes
from docutils.parsers.rst import Directive

from dockerexec_ws.client.terminal.cli import command as client_command
from dockerexec_ws.settings.manual import rows


def entries(options: Iterable[tuple[str, str]]) -> nodes.definition_list:
    """Return a list of flags, each with its text."""
    result = nodes.definition_list()
    for flag, text in options:
        item = nodes.definition_list_item()
        item += nodes.term("", "", nodes.literal(text=flag))
        item += nodes.definition("", nodes.paragraph(text=text))
        result += item
    return result


class ServerOptions(Directive):
    """``.. server-options:: TABLE``: the options of one table of the policy file."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        chosen = [row for row in rows() if row.section == self.arguments[0]]
        if not chosen:
            raise self.error(f"there are no options of the table {self.arguments[0]}")
        return [entries((row.flag, described(row.help, row.default)) for row in chosen)]


class ClientOptions(Directive):
    """``.. client-options::``: the options of the terminal client."""

    def run(self) -> list[nodes.Node]:
        context = click.Context(client_command, info_name="dockerexec-ws-client")
        records = (parameter.get_help_record(context) for parameter in client_command.params)
        return [entries(record for record in records if record is not None)]


def described(text: str, default: str) -> str:
    """Return the help text, with the default if there is one."""
    return f"{text} Default: {default}." if default else text


def setup(app: object) -> dict[str, bool]:
    """Register the directives with Sphinx."""
    app.add_directive("server-options", ServerOptions)  # type: ignore[attr-defined]
    app.add_directive("client-options", ClientOptions)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}

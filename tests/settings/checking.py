"""Run the command line in this process, to check only its settings."""

import os

from click.testing import CliRunner

from dockerexec_ws import cli


def check(*arguments, **environment):
    """Run the command line in this process, with only the given environment."""
    environment = {name: None for name in os.environ if name.startswith("DOCKER")} | environment
    return CliRunner().invoke(cli.command, [*arguments, "--check-config"], env=environment, prog_name="dockerexec-ws")

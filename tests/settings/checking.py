"""The command line in this process, which only checks its settings."""

import os

from click.testing import CliRunner

from dockerexec_ws import cli


def check(*arguments, **environment):
    """Run the command line in this process, without an environment but the given one."""
    environment = {name: None for name in os.environ if name.startswith("DOCKER")} | environment
    return CliRunner().invoke(cli.command, [*arguments, "--check-config"], env=environment, prog_name="dockerexec-ws")

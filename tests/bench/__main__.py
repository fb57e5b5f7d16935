"""The benchmark. ``bin/bench`` installs what is missing and runs it."""

import os
import pathlib
import sys

import click
import docker
from rich.console import Console

from tests.bench import report
from tests.bench.cases import CASES
from tests.bench.load import SessionFailedError
from tests.bench.results import Results
from tests.bench.sizes import QUICK, Sizes


@click.command()
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), help="Only this one; repeatable.")
@click.option("--trials", type=click.IntRange(1), default=5, show_default=True, help="Runs of each case and target.")
@click.option("--quick", is_flag=True, help="Less work: figures that tell only whether all is well.")
@click.option(
    "--output",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("build/bench"),
    show_default=True,
    help="Folder for bench.json and bench.png.",
)
def main(names, trials, quick, output):
    """Run the same work on this server, the original one, the docker command and the engine's own stream.

    Trials are interleaved: each case runs on each target once, then again.
    """
    console = Console(stderr=True)
    results = Results(quick)
    api = docker.APIClient(os.environ["DOCKER_HOST"])
    for name in names or CASES:
        case = CASES[name]
        for trial in range(1 if case.once else trials):
            for make in case.targets:
                with console.status(f"{case.title}: {make.name}, trial {trial + 1}"), make(api) as target:
                    try:
                        results.add(name, make.name, case.run(target, QUICK if quick else Sizes()))
                    except (SessionFailedError, OSError) as error:
                        results.fail(name, make.name, str(error))
    api.close()
    report.write(results, output)
    report.show(results, Console() if sys.stdout.isatty() else Console(width=150))
    console.print(f"figures: {output}/bench.json, plot: {output}/bench.png")


main(prog_name="bench")

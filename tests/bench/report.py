"""The figures as a table, as JSON and as a plot."""

import json
import platform
import statistics

from rich.table import Table

from tests.bench.cases import CASES
from tests.bench.targets import ALL

NAMES = [target.name for target in ALL]


def show(results, console):
    """Print the table."""
    table = Table(title="Medians of the trials, least and most of them, and this server's median as a multiple of each")
    table.add_column("case", overflow="fold")
    table.add_column("figure")
    for name in NAMES:
        table.add_column(name, justify="right")
    for case in list(results.figures) + [case for case in results.failures if case not in results.figures]:
        title = CASES[case].title
        for figure in results.figures.get(case, {}):
            table.add_row(title, figure, *(_cell(results, case, figure, name) for name in NAMES))
            title = ""
        failures = [_failures(results.failures.get(case, {}).get(name)) for name in NAMES]
        if any(failures):
            table.add_row(title, "failed", *failures)
        table.add_section()
    console.print(table)


def _cell(results, case, figure, target):
    values = results.figures[case][figure].get(target)
    if not values:
        return ""
    text = _number(statistics.median(values))
    if len(values) > 1:
        text += f" ({_number(min(values))}-{_number(max(values))})"
    ratio = results.ratio(case, figure, target)
    return text if target == "here" or ratio is None else f"{text} x{ratio:.2f}"


def _number(value):
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _failures(reasons):
    return "" if not reasons else f"{len(reasons)}: {', '.join(sorted(set(reasons)))}"


def write(results, folder):
    """Write bench.json and bench.png."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "quick": results.quick,
        "figures": results.figures,
        "failures": results.failures,
    }
    (folder / "bench.json").write_text(json.dumps(document, indent=1))
    panels = [(case, figure) for case, figures in results.figures.items() for figure in figures]
    if not panels:
        return
    columns = 4
    rows = -(-len(panels) // columns)
    from matplotlib.figure import Figure  # slow to import, and only the plot needs it

    figure = Figure(figsize=(4 * columns, 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (case, name) in zip(axes.flat, panels, strict=False):
        for position, target in enumerate(NAMES):
            values = results.figures[case][name].get(target)
            if values:
                axis.barh(position, statistics.median(values), color=f"C{position}", alpha=0.6)
                axis.plot(values, [position] * len(values), "k.", markersize=4)
        axis.set_yticks(range(len(NAMES)), NAMES)
        axis.invert_yaxis()
        axis.set_title(f"{CASES[case].title}\n{name}", fontsize=9)
    figure.savefig(folder / "bench.png", dpi=100)

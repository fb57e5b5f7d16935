"""Select the cases of a run of the Autobahn suite, and judge the suite's reports.

``spec RUN URL FOLDER`` prints the specification for wstest. ``judge RUN FOLDER`` prints a table of its reports and of
their faults, and exits with 1 if there is a fault.
"""
# ruff: noqa: T201

import json
import pathlib
import sys
from collections import Counter
from dataclasses import dataclass

AGENT = "echo"
# NON-STRICT: correct, though another behaviour would be better. INFORMATIONAL: any behaviour is correct.
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
GOOD_CLOSE = {"OK", "INFORMATIONAL"}
# The `websockets` library deliberately refuses a close frame in the middle of a fragmented message.
DELIBERATE = {"7.1.5": ("FAILED", "WRONG CODE", 1002)}


@dataclass(frozen=True)
class Run:
    """The cases of a run, as ids and patterns of the suite, and the number that they must give."""

    cases: list[str]
    count: int
    without: tuple[str, ...] = ()


# For each data set (12) and each kind of offer (13): 1000 messages of 16 B, 1 KiB, 8 KiB, and 8 KiB in fragments. For
# one of them also 128 KiB, whole and in fragments. All 216 cases would take half an hour.
_GROUPS = [*(f"12.{data}" for data in range(1, 6)), *(f"13.{offer}" for offer in range(1, 8))]
_COMPRESSION = [*(f"{group}.{size}" for group in _GROUPS for size in (1, 4, 6, 11)), "12.2.10", "12.2.16"]

RUNS = {
    "core": Run(["*"], 247, without=("9.*", "12.*", "13.*")),
    "large": Run(["9.*"], 54),
    "compression": Run(_COMPRESSION, len(_COMPRESSION)),
}


def spec(run, url, folder):
    """Return the specification of a run for ``wstest -m fuzzingclient``."""
    return {
        "servers": [{"agent": AGENT, "url": url}],
        "outdir": str(reports_in(folder)),
        "cases": RUNS[run].cases,
        "exclude-cases": RUNS[run].without,
        "exclude-agent-cases": {},
    }


def reports_in(folder):
    return pathlib.Path(folder) / "reports"


def read(folder):
    """Return a run's reports by case id, in order. The suite writes them at its end: none if it stopped early."""
    index = reports_in(folder) / "index.json"
    if not index.exists():
        return {}
    files = [entry["reportfile"] for entry in json.loads(index.read_text())[AGENT].values()]
    reports = [json.loads((reports_in(folder) / file).read_text()) for file in files]
    return {report["id"]: report for report in sorted(reports, key=lambda report: report["case"])}


def table(reports):
    """Yield a line for each group of cases, with their number and results."""
    groups = {}
    for number, report in reports.items():
        groups.setdefault(number.partition(".")[0], []).append(report)
    for group, members in groups.items():
        behaviours = Counter(report["behavior"] for report in members)
        told = ", ".join(f"{behaviour} {count}" for behaviour, count in behaviours.most_common())
        seconds = sum(report["duration"] for report in members) / 1000
        yield f"{group + '.*':>6} {len(members):4} cases {seconds:6.1f} s  {told}"
    for report in filter(on_purpose, reports.values()):
        yield f"{report['id']} is {report['behavior']} on purpose: {report['remoteCloseReason']}"


def problems(run, reports):
    """Yield lines that describe the faults of the run, if any."""
    if len(reports) != RUNS[run].count:
        yield f"{len(reports)} cases were run, not {RUNS[run].count}"
    for report in reports.values():
        behaviour, close = report["behavior"], report["behaviorClose"]
        if on_purpose(report) or (behaviour in GOOD and close in GOOD_CLOSE):
            continue
        yield f"{report['id']}: {behaviour} ({report['result']}); close {close} ({report['resultClose']})"
        yield f"    expected {report['expected']!s:.500}, close {report['expectedClose']!s:.500}"
        yield (
            f"    received {report['received']!s:.500}, "
            f"close code {report['remoteCloseCode']} {report['remoteCloseReason']}"
        )


def on_purpose(report):
    outcome = report["behavior"], report["behaviorClose"], report["remoteCloseCode"]
    return outcome == DELIBERATE.get(report["id"])


def main(command, run, *arguments):
    if command == "spec":
        print(json.dumps(spec(run, *arguments)))
        return 0
    reports = read(*arguments)
    wrong = list(problems(run, reports))
    print(*table(reports), *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

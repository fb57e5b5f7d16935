"""The benchmark itself: it counts correctly, reports failures, and runs."""

import io
import json
import os
import subprocess
import sys

import pytest
from rich.console import Console

from tests.bench import report
from tests.bench.load import SessionFailedError, WebSocketSession
from tests.bench.results import Results
from tests.conftest import ROOT


@pytest.mark.parametrize("size", [1, 124, 125, 65534, 65535, 3_000_000])
def test_the_load_generator_counts_output_and_takes_input(server, size):
    session = WebSocketSession(server.url, ["head", "-c", str(size)])
    session.write(bytes(size))
    session.drain()
    assert (session.received, session.exit_code) == (size, 0)
    session.close()


def test_the_load_generator_tells_what_went_wrong(serve):
    server = serve(max_sessions=1)
    first = WebSocketSession(server.url, ["cat"])
    with pytest.raises(SessionFailedError, match="Too many sessions"):
        WebSocketSession(server.url, ["cat"])
    with pytest.raises(SessionFailedError, match="404"):
        WebSocketSession(f"{server.url}y", ["cat"])
    first.close()


def test_a_table_of_medians_and_ratios_and_failures(tmp_path):
    results = Results(quick=True)
    for here, original in [(300, 100), (200, 400), (400, 200)]:
        results.add("stdout", "here", {"MB/s": here})
        results.add("stdout", "original", {"MB/s": original})
    results.fail("stdin", "original", "hung")
    written = io.StringIO()
    report.show(results, Console(file=written, width=200))
    text = written.getvalue()
    assert "300 (200-400)" in text
    assert "200 (100-400) x1.50" in text
    assert "1: hung" in text
    report.write(results, tmp_path)
    assert json.loads((tmp_path / "bench.json").read_text())["failures"] == {"stdin": {"original": ["hung"]}}
    assert (tmp_path / "bench.png").stat().st_size > 1000


def quick_run(folder, *cases):
    """Return what `bin/bench --quick` measures in these cases."""
    command = [sys.executable, "-m", "tests.bench", "--quick", "--trials", "1", "--output", folder]
    for case in cases:
        command += ["--case", case]
    # Not under coverage, because its cost would be measured, too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    measured = json.loads((folder / "bench.json").read_text())
    assert "here" not in json.dumps(measured["failures"])
    return measured["figures"]


def test_a_quick_run(tmp_path, docker_host, npm_packages):
    figures = quick_run(tmp_path, "stdin", "echo")
    for name in ("here", "docker exec", "engine"):
        assert figures["stdin"]["MB/s"][name][0] > 0


@pytest.mark.slow
def test_a_quick_run_with_pauses(tmp_path, docker_host, npm_packages):
    """The duration depends on chance: on how often the original hangs."""
    assert quick_run(tmp_path, "pauses")["pauses"]["hung"]["here"] == [0]

"""The Autobahn suite's core cases against the WebSocket layer, and the judge of its reports."""

import json
import subprocess

import pytest

from tests.conformance.report import AGENT, RUNS, Run, main
from tests.conftest import ROOT, TIMEOUT

CANNOT_INSTALL = 3


def test_the_core_cases_pass():
    command = [ROOT / "bin/conformance", "--core"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **output) as script:
        try:
            told, _ = script.communicate(timeout=0.9 * TIMEOUT)
        except subprocess.TimeoutExpired:
            script.terminate()  # the script ends everything that it started
            told, _ = script.communicate()
            pytest.fail(f"not done in time:\n{told}", pytrace=False)
        finally:
            script.terminate()
    if script.returncode == CANNOT_INSTALL:
        pytest.skip(told)
    assert script.returncode == 0, told


# The judge


@pytest.fixture
def judge(tmp_path, monkeypatch, capsys):
    """A function that writes the reports of a run of three cases, with changes; returns the judge's verdict."""
    monkeypatch.setitem(RUNS, "three", Run(["1.*"], 3))
    folder = tmp_path / "reports"
    folder.mkdir()

    def write_and_judge(number="7.1.6", *, count=3, **changes):
        index = {}
        for case, name in enumerate(["1.1.1", "6.4.3", number][:count], 1):
            report = {"id": name, "case": case, "behavior": "OK", "behaviorClose": "OK", "duration": 1500}
            report |= {"result": "as expected", "resultClose": "properly closed", "remoteCloseCode": 1000}
            report |= {"remoteCloseReason": None, "expected": {}, "expectedClose": {}, "received": []}
            report |= changes if name == number else {}
            (folder / f"{case}.json").write_text(json.dumps(report))
            index[name] = {"reportfile": f"{case}.json"}
        (folder / "index.json").write_text(json.dumps({AGENT: index}))
        return main("judge", "three", tmp_path), capsys.readouterr().out

    return write_and_judge


@pytest.mark.parametrize("behavior", ["OK", "NON-STRICT", "INFORMATIONAL"])
def test_a_good_run_passes(judge, behavior):
    status, told = judge(behavior=behavior)
    assert status == 0
    assert f"7.*    1 cases    1.5 s  {behavior} 1" in told


@pytest.mark.parametrize(
    "changes",
    [
        {"behavior": "FAILED"},
        {"behavior": "UNIMPLEMENTED"},
        {"behavior": "a word that is not known"},
        {"behaviorClose": "UNCLEAN"},
        {"behaviorClose": "WRONG CODE", "remoteCloseCode": 1002},
        {"behaviorClose": "FAILED BY CLIENT"},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_a_case_that_went_wrong_is_seen_and_explained(judge, changes):
    status, told = judge(result="it was late", resultClose="no close frame", received=["abc"], **changes)
    assert status == 1
    for word in ["7.1.6", "it was late", "no close frame", "abc", *map(str, changes.values())]:
        assert word in told


def test_a_missing_case_is_seen(judge):
    status, told = judge(count=2)
    assert status == 1
    assert "2 cases were run, not 3" in told


def test_a_run_without_reports_is_seen(tmp_path, capsys):
    assert main("judge", "core", tmp_path) == 1
    assert "0 cases were run, not 247" in capsys.readouterr().out


DELIBERATE = {"behavior": "FAILED", "behaviorClose": "WRONG CODE", "remoteCloseCode": 1002}


def test_what_the_library_does_on_purpose_passes(judge):
    status, told = judge("7.1.5", **DELIBERATE)
    assert status == 0
    assert "7.1.5 is FAILED on purpose" in told


@pytest.mark.parametrize(
    "changes", [{"behaviorClose": "UNCLEAN"}, {"remoteCloseCode": None}], ids=["unclean", "no code"]
)
def test_nothing_else_passes_in_that_case(judge, changes):
    status, _ = judge("7.1.5", **DELIBERATE | changes)
    assert status == 1

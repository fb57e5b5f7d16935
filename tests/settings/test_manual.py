"""The rows of the manual's table of options."""

from dockerexec_ws.settings.manual import rows
from dockerexec_ws.settings.schema import OPTIONS, TABLES


def test_each_option_has_a_row_and_the_sections_stand_together():
    found = list(rows())
    assert [row.key for row in found] == [option.key for option in OPTIONS]
    assert list(dict.fromkeys(row.section for row in found)) == list(TABLES)
    assert all(row.type and row.help.endswith(".") for row in found)


def test_rows_in_full():
    by_key = {row.key: row[1:] for row in rows()}
    assert by_key["requests.allow_tty"][:5] == (
        "--allow-tty/--no-allow-tty",
        "DOCKEREXEC_WS_ALLOW_TTY",
        "requests.allow_tty",
        "boolean",
        "true",
    )
    assert by_key["sessions.compress"][4] == "false"
    assert by_key["server.path"][4] == "one that nobody can guess"
    assert by_key["requests.allow_command"][3:5] == ("list of commands", "*")
    assert by_key["audit.audit_log"][4] == ""

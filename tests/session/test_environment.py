"""The environment variables of a session: the operator's, the client's, and the defaults for a terminal."""

import pytest

from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.session.environment import session_environment
from dockerexec_ws.settings.schema import SessionSettings
from tests.conftest import running_container
from tests.peer import Peer, Transcript

BOTH = ("TERM=xterm-256color", "LANG=C.UTF-8")


@pytest.mark.parametrize(
    ("settings", "client", "container", "expected"),
    [
        ({}, (), (), BOTH),
        ({}, (), ("PATH=/bin", "LANGUAGE=de", "LANG"), BOTH),
        ({}, ("TERM=vt100", "A=b=c"), (), ("TERM=vt100", "A=b=c", "LANG=C.UTF-8")),
        ({}, ("LC_CTYPE=C",), (), ("LC_CTYPE=C", "TERM=xterm-256color")),
        *[({}, (), (locale,), BOTH[:1]) for locale in ("LANG=", "LC_ALL=C", "LC_CTYPE=de_DE.UTF-8")],
        ({"term": "", "lang": ""}, (), (), ()),
        ({"lang": "de_DE.UTF-8"}, (), (), (BOTH[0], "LANG=de_DE.UTF-8")),
        ({"session_env": ["LC_ALL=C", "TERM=dumb"]}, (), (), ("LC_ALL=C", "TERM=dumb")),
        ({"session_env": ["A=1", "A=2", "B=3"], "lang": ""}, ("B=4",), (), ("A=2", "B=4", BOTH[0])),
    ],
)
def test_what_a_session_with_a_terminal_has(settings, client, container, expected):
    request = ExecRequest(argv=("ls",), tty=True, environment=client)
    assert session_environment(SessionSettings(**settings), request, container) == expected


def test_without_a_terminal_there_are_no_defaults():
    settings = SessionSettings(session_env=["A=1"])
    assert session_environment(settings, ExecRequest(argv=("ls",), environment=("B=2",)), ()) == ("A=1", "B=2")


def shown(url, tty):
    with Peer(url, "sh", "-c", "echo $LANG,$LC_ALL,$A", tty=tty) as peer:
        return Transcript(peer).stdout.strip()


@pytest.fixture(scope="module")
def bare_container(docker_api):
    """A container that sets no locale, although its image does."""
    with running_container(docker_api, environment=["LANG"]) as name:
        yield name


def test_a_container_without_a_locale(serve, bare_container):
    server = serve(bare_container, session_env=["A=an operator's"])
    assert shown(server.url, True) == b"C.UTF-8,,an operator's"
    assert shown(server.url, False) == b",,an operator's"
    assert shown(serve(bare_container, lang="").url, True) == b",,"


def test_a_container_that_is_made_anew_with_a_locale_of_its_own(serve, docker_api, bare_container):
    server = serve(bare_container)
    assert shown(server.url, True) == b"C.UTF-8,,"
    with running_container(docker_api, environment=["LANG", "LC_ALL=POSIX"]) as other:
        docker_api.rename(bare_container, f"{other}-away")
        docker_api.rename(other, bare_container)
        try:
            assert shown(server.url, True) == b",POSIX,"
        finally:
            docker_api.rename(bare_container, other)
            docker_api.rename(f"{other}-away", bare_container)

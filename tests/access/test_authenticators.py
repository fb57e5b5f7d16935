"""Which authenticators the settings select, and in which order the server asks them."""

import pytest

from dockerexec_ws.access.authenticators import authenticators_of
from dockerexec_ws.access.client_certificate import certificate_name
from dockerexec_ws.access.proxy_header import ProxyHeader
from dockerexec_ws.access.signed_tokens import SignedTokens
from dockerexec_ws.access.token_file import TokenFile, new_token
from dockerexec_ws.settings.settings import ServerSettings, Settings


def own(environ):
    """An authenticator that the caller wrote."""


@pytest.fixture
def options(tmp_path):
    """The options of each way to authenticate, by its kind."""
    (tmp_path / "tokens").write_text(new_token("alice")[1])
    (tmp_path / "key").write_bytes(bytes(32))
    return {
        "own": {"authenticators": [own]},
        "certificate": {"certfile": "c", "keyfile": "k", "client_ca": "a"},
        TokenFile: {"token_file": tmp_path / "tokens"},
        SignedTokens: {"jwt_key_file": tmp_path / "key", "jwt_issuer": "i", "jwt_audience": "a"},
        ProxyHeader: {"identity_header": "X-User", "trusted_proxy": ["10.0.0.0/8"]},
    }


def test_without_options_there_are_none():
    assert authenticators_of(Settings()) == authenticators_of(ServerSettings()) == []


@pytest.mark.parametrize("kind", [TokenFile, SignedTokens, ProxyHeader])
def test_each_way_by_its_options(options, kind):
    (found,) = authenticators_of(Settings(**options[kind]))
    assert type(found) is kind


def test_all_ways_in_their_order(options):
    everything = {name: value for each in reversed(options.values()) for name, value in each.items()}
    first, second, *others = authenticators_of(ServerSettings(**everything))
    assert (first, second) == (own, certificate_name)
    assert [type(each) for each in others] == [TokenFile, SignedTokens, ProxyHeader]

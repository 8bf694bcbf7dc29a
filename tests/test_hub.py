import socket

import pytest

from herbage.hub import hub_is_out_of_reach

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def unresolved(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: (_ for _ in ()).throw(socket.gaierror("no such name")))


def test_without_a_network_the_hub_is_not_asked(unresolved):
    assert hub_is_out_of_reach()


def test_behind_a_proxy_it_is_asked(unresolved, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert not hub_is_out_of_reach()


def test_with_a_network_it_is_asked(unresolved, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ["an address"])
    assert not hub_is_out_of_reach()

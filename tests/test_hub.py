import socket

import pytest

from herbage.backbones.opening import open_backbone
from herbage.errors import WeightsMissing
from herbage.hub import PINNED, hub_is_out_of_reach, pinned

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


def test_a_hub_id_means_one_revision_unless_another_is_named():
    assert pinned("facebook/dinov2-giant") == ("facebook/dinov2-giant", "611a9d42f2335e0f921f1e313ad3c1b7178d206d")
    assert pinned("facebook/dinov2-giant@main") == ("facebook/dinov2-giant", "main")
    assert pinned("somebody/else") == ("somebody/else", None)


def test_the_hub_is_asked_for_that_revision(monkeypatch):
    asked = []

    def refuse(name, **options):
        asked.append((name, options["revision"]))
        raise OSError("no network in tests")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    for name in ("facebook/dinov2-small", "somebody/else@abc"):
        with pytest.raises(WeightsMissing):
            open_backbone(name)
    assert asked == [("facebook/dinov2-small", PINNED["facebook/dinov2-small"]), ("somebody/else", "abc")]


def test_a_folder_is_no_hub_id_whatever_it_is_called(tmp_path):
    (tmp_path / "weights@home").mkdir()
    assert pinned(str(tmp_path / "weights@home")) == (str(tmp_path / "weights@home"), None)

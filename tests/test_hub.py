import socket

import pytest

from herbage.backbones.opening import open_backbone
from herbage.errors import BackboneInvalid, ModelInvalid, WeightsMissing
from herbage.hub import PINNED, check_backbone_name, check_model_name, hub_is_unreachable, pinned

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def unresolved(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: (_ for _ in ()).throw(socket.gaierror("no such name")))


def test_without_a_network_the_hub_is_not_asked(unresolved):
    assert hub_is_unreachable()


def test_behind_a_proxy_it_is_asked(unresolved, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert not hub_is_unreachable()


def test_with_a_network_it_is_asked(unresolved, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ["an address"])
    assert not hub_is_unreachable()


def test_a_hub_id_means_one_revision_unless_another_is_named():
    assert pinned("facebook/dinov2-giant") == ("facebook/dinov2-giant", "611a9d42f2335e0f921f1e313ad3c1b7178d206d")
    assert pinned("facebook/dinov2-giant@main") == ("facebook/dinov2-giant", "main")
    assert pinned("somebody/else") == ("somebody/else", None)


def test_the_hub_is_asked_for_that_revision(monkeypatch):
    requests = []

    def refuse(name, **options):
        requests.append((name, options["revision"]))
        raise OSError("no network in tests")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    for name in ("facebook/dinov2-small", "somebody/else@abc"):
        with pytest.raises(WeightsMissing):
            open_backbone(name)
    assert requests == [("facebook/dinov2-small", PINNED["facebook/dinov2-small"]), ("somebody/else", "abc")]


def test_a_folder_is_no_hub_id_whatever_it_is_called(tmp_path):
    (tmp_path / "weights@home").mkdir()
    assert pinned(str(tmp_path / "weights@home")) == (str(tmp_path / "weights@home"), None)


def test_a_local_backbone_is_checked_without_loading_it(tmp_path):
    for name in ("texture", "facebook/dinov2-giant", "somebody/else@abc"):
        check_backbone_name(name)
    for name in ("./nowhere", "a/b/c", str(tmp_path / "no"), "word", "C:/vits"):
        with pytest.raises(WeightsMissing, match="does not exist"):
            check_backbone_name(name)
    with pytest.raises(BackboneInvalid, match=r"has neither config\.json nor openvino\.json"):
        check_backbone_name(str(tmp_path))
    (tmp_path / "openvino.json").touch()
    check_backbone_name(str(tmp_path))


def test_a_model_that_cannot_be_one_is_refused_without_loading_it(tmp_path, unresolved, monkeypatch):
    for name in ("nomodel", "a/b/c", str(tmp_path / "no"), "somebody/model"):
        with pytest.raises(ModelInvalid, match="neither a model folder on this machine nor"):
            check_model_name(name)
    with pytest.raises(ModelInvalid, match=r"has no config\.json"):
        check_model_name(str(tmp_path))
    (tmp_path / "config.json").touch()
    check_model_name(str(tmp_path))


def test_a_model_of_the_hub_may_be_in_the_cache_or_be_asked_for(tmp_path, unresolved, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--somebody--model").mkdir()
    check_model_name("somebody/model")
    check_model_name("somebody/model@abc")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ["an address"])
    check_model_name("somebody/other")

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from herbage import steps
from herbage.backbones.opening import open_backbone
from herbage.errors import TokensCorrupt, TokensStale
from herbage.photos.photo import PhotoFile
from herbage.recipe import load_recipe
from herbage.tokens.store import UNKNOWN, Known, TokensIdentity, TokenStore

RECIPE = load_recipe("seed").model_copy(update={"grid": 2})
PHOTO, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def store(tmp_path):
    return TokenStore(tmp_path / "store", open_backbone("texture"), RECIPE)


def tokens(seed=0):
    return torch.randn(6, 4, 37, generator=torch.Generator().manual_seed(seed)).half()


def test_what_goes_in_comes_out(store):
    assert PHOTO not in store
    store.save(PHOTO, tokens())
    assert PHOTO in store
    assert torch.equal(store.load(PHOTO), tokens())
    assert store.path(PHOTO).relative_to(store.root).parts == (store.identity.digest, "ab", f"{PHOTO}.safetensors")


def test_every_cut_short_file_is_a_named_error(store):
    store.save(PHOTO, tokens())
    whole = store.path(PHOTO).read_bytes()
    for length in (0, 4, 8, 50, len(whole) // 2, len(whole) - 1):
        store.path(PHOTO).write_bytes(whole[:length])
        with pytest.raises(TokensCorrupt, match="not a whole token file"):
            store.load(PHOTO)


def test_every_flipped_bit_of_the_numbers_is_seen(store):
    store.save(PHOTO, tokens())
    whole = store.path(PHOTO).read_bytes()
    start = len(whole) - tokens().nbytes
    for position in np.random.default_rng(0).integers(start, len(whole), 40):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        store.path(PHOTO).write_bytes(damaged)
        with pytest.raises(TokensCorrupt, match="checksum"):
            store.load(PHOTO)


def test_a_file_of_another_photo_is_stale(store):
    store.save(OTHER, tokens())
    store.path(PHOTO).parent.mkdir(parents=True)
    os.replace(store.path(OTHER), store.path(PHOTO))
    with pytest.raises(TokensStale, match=f"photo {OTHER}"):
        store.load(PHOTO)


def test_a_file_of_other_settings_is_stale(store, tmp_path):
    other = TokenStore(store.root, open_backbone("texture"), RECIPE.model_copy(update={"blur_sigma": 0.0}))
    other.save(PHOTO, tokens())
    store.path(PHOTO).parent.mkdir(parents=True)
    os.replace(other.path(PHOTO), store.path(PHOTO))
    with pytest.raises(TokensStale, match=other.identity.digest):
        store.load(PHOTO)


@pytest.mark.parametrize("change", [
    {"crops": "halves"}, {"grid": 15}, {"views": 5}, {"blur_sigma": 1.0}, {"keep": "class"},
])  # fmt: skip
def test_whatever_changes_tokens_changes_their_identity(change):
    backbone = open_backbone("texture")
    own = TokensIdentity.of(backbone, RECIPE).digest
    assert TokensIdentity.of(backbone, RECIPE.model_copy(update=change)).digest != own
    assert TokensIdentity.of(open_backbone("texture", precision="fp32"), RECIPE).digest != own
    assert TokensIdentity.of(backbone, RECIPE.model_copy(update={"heads": "ridge", "fold_seed": 9})).digest == own


def test_a_save_that_fails_leaves_nothing_behind(store, monkeypatch):
    store.save(OTHER, tokens())
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=f"No space left on device: .*{PHOTO}"):
        store.save(PHOTO, tokens())
    assert PHOTO not in store
    assert not list(store.root.rglob("*.tmp"))


def test_the_index_knows_a_file_until_it_changes(store, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"one")
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.remember([(PhotoFile("a", photo), Known(PHOTO))])
    assert store.index.find([PhotoFile("a", photo)]) == [Known(PHOTO)]
    photo.write_bytes(b"two!")
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.remember([(PhotoFile("a", photo), Known(failure="a is broken"))])
    gone = PhotoFile("gone", tmp_path / "gone.jpg")
    assert store.index.find([gone, PhotoFile("a", photo)]) == [UNKNOWN, Known(failure="a is broken")]
    store.index.path.write_bytes(b"not a database, and long enough to be seen as one" * 9)
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.remember([(PhotoFile("a", photo), Known(PHOTO))])


def test_whole_files_of_other_shape_type_or_form_are_not_taken(store, monkeypatch):
    store.save(PHOTO, tokens()[:, :2])
    with pytest.raises(TokensCorrupt):
        store.load(PHOTO)
    store.save(PHOTO, tokens().float())
    with pytest.raises(TokensCorrupt):
        store.load(PHOTO)
    save_file({"tokens": tokens()}, store.path(PHOTO), {"herbage": "[1]"})
    with pytest.raises(TokensCorrupt):
        store.load(PHOTO)


@pytest.mark.parametrize("recipe", ["seed", "field"])
def test_training_from_the_store_is_training_from_memory(recipe, weighed_photos, tmp_path, monkeypatch):
    """Where the tokens would fill the memory they are read from the store again, and the model is the same to the bit."""
    small = load_recipe(recipe).model_copy(update={"grid": 4})
    small = small.model_copy(update={"patch": small.patch.model_copy(update={"epochs": 3})})
    for name, share in (("held", 1.0), ("read", 0.0)):
        monkeypatch.setattr("herbage.steps.training.HELD_SHARE", share)
        steps.train(
            weighed_photos / "wide.csv", photos=weighed_photos, model=tmp_path / name / "m", recipe=small,
            backbone="texture",
        )  # fmt: skip
    held, read = ((tmp_path / name / "m/model.safetensors").read_bytes() for name in ("held", "read"))
    assert held == read

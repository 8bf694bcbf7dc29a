import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from herbage import steps
from herbage.backbones.opening import open_backbone
from herbage.errors import TokensCorrupt, TokensStale
from herbage.photos.photo import PhotoFile
from herbage.recipe import load_recipe
from herbage.tokens.store import UNKNOWN, IndexEntry, TokensIdentity, TokenStore
from tests.conftest import overwrite

RECIPE = load_recipe("seed").model_copy(update={"grid": 2})
PHOTO, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def store(tmp_path):
    return TokenStore(tmp_path / "store", open_backbone("texture"), RECIPE)


def tokens(seed=0):
    return torch.randn(6, 4, 37, generator=torch.Generator().manual_seed(seed)).half()


def test_saved_tokens_are_loaded_unchanged(store):
    assert PHOTO not in store
    store.save(PHOTO, tokens())
    assert PHOTO in store
    assert torch.equal(store.load(PHOTO), tokens())
    assert store.path(PHOTO).relative_to(store.root).parts == (store.identity.digest, "ab", f"{PHOTO}.safetensors")


def test_every_truncated_file_is_corrupt(store):
    store.save(PHOTO, tokens())
    complete = store.path(PHOTO).read_bytes()
    for length in (0, 4, 8, 50, len(complete) // 2, len(complete) - 1):
        store.path(PHOTO).write_bytes(complete[:length])
        with pytest.raises(TokensCorrupt, match="is not a complete token file"):
            store.load(PHOTO)


def test_every_flipped_bit_of_the_data_is_detected(store):
    store.save(PHOTO, tokens())
    complete = store.path(PHOTO).read_bytes()
    start = len(complete) - tokens().nbytes
    for position in np.random.default_rng(0).integers(start, len(complete), 40):
        damaged = bytearray(complete)
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


def test_tokens_do_not_change_with_their_file_once_they_are_loaded(store):
    """A tensor that maps its file into memory would, and Windows would not let such a file be replaced."""
    store.save(PHOTO, tokens())
    loaded = store.load(PHOTO)
    overwrite(store.path(PHOTO))
    assert torch.equal(loaded, tokens())


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
def test_settings_that_change_tokens_change_their_identity(change):
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


def test_an_index_entry_is_valid_until_its_file_changes(store, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"one")
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.update([(PhotoFile("a", photo), IndexEntry(PHOTO))])
    assert store.index.find([PhotoFile("a", photo)]) == [IndexEntry(PHOTO)]
    photo.write_bytes(b"two!")
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.update([(PhotoFile("a", photo), IndexEntry(failure="a is broken"))])
    gone = PhotoFile("gone", tmp_path / "gone.jpg")
    assert store.index.find([gone, PhotoFile("a", photo)]) == [UNKNOWN, IndexEntry(failure="a is broken")]
    store.index.path.write_bytes(b"not a database, and long enough to be taken for one" * 9)
    assert store.index.find([PhotoFile("a", photo)]) == [UNKNOWN]
    store.index.update([(PhotoFile("a", photo), IndexEntry(PHOTO))])


def test_the_index_of_an_older_version_is_not_used_but_kept(store, tmp_path):
    """It has digests of photos whose pixels are read differently now, and failures with other messages."""
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"one")
    file, status = PhotoFile("a", photo), photo.stat()
    row = (str(photo.resolve()), status.st_size, status.st_mtime_ns, OTHER, None)
    columns = "path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT, failure TEXT"
    store.root.mkdir(exist_ok=True)
    with closing(sqlite3.connect(store.index.path)) as connection, connection:
        connection.execute(f"CREATE TABLE known ({columns}) WITHOUT ROWID")
        connection.execute("INSERT INTO known VALUES (?, ?, ?, ?, ?)", row)
    assert store.index.find([file]) == [UNKNOWN]
    store.index.update([(file, IndexEntry(PHOTO))])
    assert store.index.find([file]) == [IndexEntry(PHOTO)]
    with closing(sqlite3.connect(store.index.path)) as connection:
        assert connection.execute("SELECT * FROM known").fetchall() == [row]


def test_complete_files_of_another_shape_type_or_form_are_corrupt(store, monkeypatch):
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
def test_training_from_the_store_equals_training_from_memory(recipe, weighed_photos, tmp_path, monkeypatch):
    """Tokens that would fill the memory are read from the store again, and the model has the same bytes."""
    small = load_recipe(recipe).model_copy(update={"grid": 4})
    small = small.model_copy(update={"patch": small.patch.model_copy(update={"epochs": 3})})
    for name, share in (("held", 1.0), ("read", 0.0)):
        monkeypatch.setattr("herbage.steps.training.MEMORY_SHARE", share)
        steps.train(
            weighed_photos / "wide.csv", photos=weighed_photos, model=tmp_path / name / "m", recipe=small,
            backbone="texture",
        )  # fmt: skip
    held, read = ((tmp_path / name / "m/model.safetensors").read_bytes() for name in ("held", "read"))
    assert held == read


def with_views(store, views, **changes):
    recipe = RECIPE.model_copy(update={"views": views, **changes})
    return TokenStore(store.root, open_backbone("texture"), recipe)


def test_stored_tokens_with_more_views_serve_a_request_for_the_first_ones(store):
    store.save(PHOTO, tokens())
    for views in (1, 4):
        fewer = with_views(store, views)
        assert PHOTO in fewer
        assert fewer.has_complete(PHOTO)
        assert torch.equal(fewer.load(PHOTO), tokens()[:views])
    assert OTHER not in with_views(store, 1)


def test_fewer_views_or_averaged_ones_do_not_serve(store):
    with_views(store, 4).save(PHOTO, tokens()[:4])
    assert PHOTO not in store
    assert PHOTO not in with_views(store, 1, average_views=True)
    averaged = with_views(store, 4, average_views=True)
    averaged.save(OTHER, tokens()[:1])
    assert OTHER not in with_views(store, 1)


def test_a_damaged_file_with_more_views_is_replaced_by_the_requested_ones(store):
    store.save(PHOTO, tokens())
    store.path(PHOTO).write_bytes(store.path(PHOTO).read_bytes()[:-3])
    fewer = with_views(store, 2)
    assert not fewer.has_complete(PHOTO)
    with pytest.raises(TokensCorrupt, match="is not a complete token file"):
        fewer.load(PHOTO)
    fewer.discard(PHOTO)
    assert PHOTO not in fewer
    fewer.save(PHOTO, tokens()[:2])
    assert torch.equal(with_views(store, 1).load(PHOTO), tokens()[:1])


def test_a_photo_is_extracted_once_for_training_and_prediction(weighed_photos, tmp_path):
    recipe = RECIPE.model_copy(update={"views": 4, "predict_views": 1})
    options = {"store": tmp_path / "store", "recipe": recipe, "backbone": "texture"}
    assert steps.extract(weighed_photos / "train", **options).made == 24
    assert steps.extract(weighed_photos / "train", views=1, **options).present == 24
    assert steps.extraction_status(weighed_photos / "train", views=2, **options).present == 24
    steps.extract(weighed_photos / "train", store=tmp_path / "one", recipe=recipe, views=1, backbone="texture")
    assert steps.extraction_status(weighed_photos / "train", **{**options, "store": tmp_path / "one"}).missing == 24

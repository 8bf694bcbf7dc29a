import shutil
from pathlib import Path

import pytest
import torch

from herbage.backbones.opening import open_backbone
from herbage.errors import InputInvalid
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile
from herbage.recipe import load_recipe
from herbage.tokens.extraction import stored_photos, stream_tokens, take_shard, token_bytes
from herbage.tokens.store import TokenStore

RECIPE = load_recipe("seed").model_copy(update={"grid": 4})
TILES = load_recipe("crosspvt").model_copy(update={"grid": 2})


class RecordingBackbone:
    """The texture backbone, recording the shapes of its batches of images."""

    def __init__(self, batch_patches=0):
        self.inner = open_backbone("texture")
        for name in ("name", "digest", "source_digest", "patch_px", "width", "engine"):
            setattr(self, name, getattr(self.inner, name))
        self.batch_patches = batch_patches
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(tuple(images.shape))
        return self.inner(images)


def extract(files, store_root, recipe=RECIPE, **options):
    backbone = RecordingBackbone(**options)
    store = TokenStore(store_root, backbone, recipe)
    return list(stream_tokens(files, backbone, recipe, store)), backbone, store


def test_a_second_run_extracts_only_what_is_missing(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")
    first, backbone, _ = extract(files[:10], tmp_path)
    assert len(backbone.shapes) == 10
    again, backbone, _ = extract(files, tmp_path)
    assert len(backbone.shapes) == 14
    assert [item.from_store for item in again] == [True] * 10 + [False] * 14
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=False))
    assert [item.file for item in again] == list(files)


@pytest.mark.parametrize("batch_patches", [1, 192, 480])
def test_batches_have_one_shape_and_change_nothing(weighed_photos, tmp_path, batch_patches):
    files = find_photos(weighed_photos / "train")[:7]
    alone, _, _ = extract(files, tmp_path / "one")
    together, backbone, _ = extract(files, tmp_path / "many", batch_patches=batch_patches)
    assert len(set(backbone.shapes)) == 1
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("tiles", ["native", "published"])
def test_tiles_are_stored_resumed_sharded_and_repaired_like_other_crops(weighed_photos, tmp_path, tiles):
    files, recipe = find_photos(weighed_photos / "train")[:6], TILES.model_copy(update={"tiles": tiles})
    complete, _, store = extract(files, tmp_path / "complete", recipe)
    assert {tuple(item.tokens.shape) for item in complete} == {(3, 40, 37)}
    for shard in ("1/2", "2/2"):
        extract(take_shard(files, shard), tmp_path / "shared", recipe, batch_patches=1000)
    damaged = store.path(complete[2].sha256)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    for place, calls in (("shared", 0), ("complete", 1)):
        again, backbone, _ = extract(files, tmp_path / place, recipe)
        assert [item.from_store for item in again].count(False) == calls
        assert bool(backbone.shapes) == bool(calls)
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(complete, again, strict=True))
    other = TokenStore(tmp_path / "complete", backbone, recipe.model_copy(update={"tiles": "native", "grid": 3}))
    assert other.path(complete[0].sha256) != store.path(complete[0].sha256)


def test_damaged_tokens_are_extracted_again(weighed_photos, tmp_path, caplog):
    files = find_photos(weighed_photos / "train")[:3]
    good, _, store = extract(files, tmp_path)
    path = store.path(good[1].sha256)
    path.write_bytes(path.read_bytes()[:-5])
    repaired, backbone, _ = extract(files, tmp_path)
    assert len(backbone.shapes) == 1
    assert "is not a complete token file" in caplog.text
    assert torch.equal(repaired[1].tokens, good[1].tokens)
    assert torch.equal(store.load(good[1].sha256), good[1].tokens)


def test_stored_tokens_that_are_not_requested_are_not_read_and_only_their_length_is_checked(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:4]
    good, _, store = extract(files, tmp_path)
    short, flipped = (store.path(good[number].sha256) for number in (1, 2))
    complete = {path: path.read_bytes() for path in (short, flipped)}
    short.write_bytes(complete[short][:-5])
    flipped.write_bytes(complete[flipped][:-1] + bytes([complete[flipped][-1] ^ 1]))
    again = list(stream_tokens(files, RecordingBackbone(), RECIPE, store, read_stored=False))
    assert [item.from_store for item in again] == [True, False, True, True]
    assert [item.tokens is None for item in again] == [True, False, True, True]
    assert short.read_bytes() == complete[short]
    read = list(stream_tokens(files, RecordingBackbone(), RECIPE, store))
    assert [item.from_store for item in read] == [True, True, False, True]
    assert flipped.read_bytes() == complete[flipped]


def test_a_broken_photo_is_an_item_with_its_reason(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:2]
    broken = PhotoFile("broken.jpg", tmp_path / "broken.jpg")
    broken.path.write_bytes(b"not a photo")
    gone = PhotoFile("gone.jpg", tmp_path / "gone.jpg")
    items, _, _ = extract([files[0], broken, gone, files[1]], tmp_path / "store", batch_patches=192)
    assert [item.failure is None for item in items] == [True, False, False, True]
    assert "broken.jpg is not a readable image" in str(items[1].failure)


def test_a_changed_photo_is_extracted_again(weighed_photos, tmp_path):
    photo = tmp_path / "a.png"
    shutil.copy(weighed_photos / "train/ID0.png", photo)
    (first,), _, store = extract([PhotoFile("a", photo)], tmp_path / "store")
    assert [present for _, present, _ in stored_photos([PhotoFile("a", photo)], store)] == [True]
    shutil.copy(weighed_photos / "train/ID1.png", photo)
    (second,), backbone, _ = extract([PhotoFile("a", photo)], tmp_path / "store")
    assert len(backbone.shapes) == 1
    assert not torch.equal(first.tokens, second.tokens)


def test_results_do_not_depend_on_the_store(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:3]
    stored, backbone, _ = extract(files, tmp_path)
    without_store = list(stream_tokens(files, backbone, RECIPE))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(stored, without_store, strict=True))
    assert stored[0].tokens.nbytes == token_bytes(backbone, RECIPE)


@pytest.mark.parametrize("shards", [["1/3", "2/3", "3/3"], ["0/3", "1/3", "2/3"]])
def test_shards_cover_every_photo_once(shards):
    files = [PhotoFile(str(n), Path(str(n))) for n in range(10)]
    taken = [file.name for shard in shards for file in take_shard(files, shard)]
    assert sorted(taken, key=int) == [str(n) for n in range(10)]


@pytest.mark.parametrize("shard", ["3", "a/b", "4/3", "-1/3", "0/0", "1/2/3"])
def test_an_invalid_shard_is_one_message(shard):
    with pytest.raises(InputInvalid, match="expected i/n"):
        take_shard([], shard)


def test_results_do_not_depend_on_threads_and_the_setting_of_torch_is_restored(weighed_photos):
    files = find_photos(weighed_photos / "train")[:8]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            backbone = RecordingBackbone()
            results.append([item.tokens for item in stream_tokens(files, backbone, RECIPE)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, four) for one, four in zip(*results, strict=True))


def test_closing_the_stream_stops_the_work(weighed_photos):
    files = find_photos(weighed_photos / "train")
    backbone = RecordingBackbone()
    stream = stream_tokens(files, backbone, RECIPE)
    next(stream)
    stream.close()
    assert len(backbone.shapes) < len(files)

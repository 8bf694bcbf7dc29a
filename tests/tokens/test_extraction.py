import shutil
from pathlib import Path

import pytest
import torch

from herbage.backbones.opening import open_backbone
from herbage.errors import InputInvalid
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile
from herbage.recipe import load_recipe
from herbage.tokens.extraction import look_up, stream_tokens, take_shard, token_bytes
from herbage.tokens.store import TokenStore

RECIPE = load_recipe("seed").model_copy(update={"grid": 4})
TILES = load_recipe("crosspvt").model_copy(update={"grid": 2})


class Counting:
    """The texture backbone, counting the images it is shown and the shapes they come in."""

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
    backbone = Counting(**options)
    store = TokenStore(store_root, backbone, recipe)
    return list(stream_tokens(files, backbone, recipe, store)), backbone, store


def test_run_again_it_does_only_what_is_missing(weighed_photos, tmp_path):
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
def test_tiles_are_kept_resumed_shared_and_mended_like_everything_else(weighed_photos, tmp_path, tiles):
    files, recipe = find_photos(weighed_photos / "train")[:6], TILES.model_copy(update={"tiles": tiles})
    whole, _, store = extract(files, tmp_path / "whole", recipe)
    assert {tuple(item.tokens.shape) for item in whole} == {(3, 40, 37)}
    for shard in ("1/2", "2/2"):
        extract(take_shard(files, shard), tmp_path / "shared", recipe, batch_patches=1000)
    damaged = store.path(whole[2].sha256)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    for place, calls in (("shared", 0), ("whole", 1)):
        again, backbone, _ = extract(files, tmp_path / place, recipe)
        assert [item.from_store for item in again].count(False) == calls
        assert bool(backbone.shapes) == bool(calls)
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(whole, again, strict=True))
    other = TokenStore(tmp_path / "whole", backbone, recipe.model_copy(update={"tiles": "native", "grid": 3}))
    assert other.path(whole[0].sha256) != store.path(whole[0].sha256)


def test_damaged_tokens_are_mended(weighed_photos, tmp_path, caplog):
    files = find_photos(weighed_photos / "train")[:3]
    good, _, store = extract(files, tmp_path)
    path = store.path(good[1].sha256)
    path.write_bytes(path.read_bytes()[:-5])
    mended, backbone, _ = extract(files, tmp_path)
    assert len(backbone.shapes) == 1
    assert "not a whole token file" in caplog.text
    assert torch.equal(mended[1].tokens, good[1].tokens)
    assert torch.equal(store.load(good[1].sha256), good[1].tokens)


def test_kept_tokens_that_are_not_asked_for_are_not_read_and_only_their_length_is_checked(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:4]
    good, _, store = extract(files, tmp_path)
    short, flipped = (store.path(good[number].sha256) for number in (1, 2))
    whole = {path: path.read_bytes() for path in (short, flipped)}
    short.write_bytes(whole[short][:-5])
    flipped.write_bytes(whole[flipped][:-1] + bytes([whole[flipped][-1] ^ 1]))
    again = list(stream_tokens(files, Counting(), RECIPE, store, read_kept=False))
    assert [item.from_store for item in again] == [True, False, True, True]
    assert [item.tokens is None for item in again] == [True, False, True, True]
    assert short.read_bytes() == whole[short]
    read = list(stream_tokens(files, Counting(), RECIPE, store))
    assert [item.from_store for item in read] == [True, True, False, True]
    assert flipped.read_bytes() == whole[flipped]


def test_a_broken_photo_is_an_item_with_its_reason(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:2]
    broken = PhotoFile("broken.jpg", tmp_path / "broken.jpg")
    broken.path.write_bytes(b"not a photo")
    gone = PhotoFile("gone.jpg", tmp_path / "gone.jpg")
    items, _, _ = extract([files[0], broken, gone, files[1]], tmp_path / "store", batch_patches=192)
    assert [item.failure is None for item in items] == [True, False, False, True]
    assert "broken.jpg is not a readable image" in str(items[1].failure)


def test_a_changed_photo_is_done_again(weighed_photos, tmp_path):
    photo = tmp_path / "a.png"
    shutil.copy(weighed_photos / "train/ID0.png", photo)
    (first,), _, store = extract([PhotoFile("a", photo)], tmp_path / "store")
    assert [present for _, present, _ in look_up([PhotoFile("a", photo)], store)] == [True]
    shutil.copy(weighed_photos / "train/ID1.png", photo)
    (second,), backbone, _ = extract([PhotoFile("a", photo)], tmp_path / "store")
    assert len(backbone.shapes) == 1
    assert not torch.equal(first.tokens, second.tokens)


def test_a_store_changes_no_result(weighed_photos, tmp_path):
    files = find_photos(weighed_photos / "train")[:3]
    kept, backbone, _ = extract(files, tmp_path)
    loose = list(stream_tokens(files, backbone, RECIPE))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(kept, loose, strict=True))
    assert kept[0].tokens.nbytes == token_bytes(backbone, RECIPE)


@pytest.mark.parametrize("shards", [["1/3", "2/3", "3/3"], ["0/3", "1/3", "2/3"]])
def test_shards_share_the_work_whole_and_once(shards):
    files = [PhotoFile(str(n), Path(str(n))) for n in range(10)]
    taken = [file.name for shard in shards for file in take_shard(files, shard)]
    assert sorted(taken, key=int) == [str(n) for n in range(10)]


@pytest.mark.parametrize("shard", ["3", "a/b", "4/3", "-1/3", "0/0", "1/2/3"])
def test_what_is_no_shard_is_one_message(shard):
    with pytest.raises(InputInvalid, match="expected i/n"):
        take_shard([], shard)


def test_as_many_threads_as_there_are_change_nothing_and_leave_torch_as_it_was(weighed_photos):
    files = find_photos(weighed_photos / "train")[:8]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            backbone = Counting()
            results.append([item.tokens for item in stream_tokens(files, backbone, RECIPE)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, four) for one, four in zip(*results, strict=True))


def test_whoever_stops_listening_stops_the_work(weighed_photos):
    files = find_photos(weighed_photos / "train")
    backbone = Counting()
    stream = stream_tokens(files, backbone, RECIPE)
    next(stream)
    stream.close()
    assert len(backbone.shapes) < len(files)

import pytest

from herbage.errors import InputInvalid, RecipeInvalid
from herbage.recipe import load_recipe

GOOD = 'backbone="texture"\ncrops="whole"\ngrid=16\nviews=2\nheads="ridge"\nbalance=true\n'


def test_the_shipped_recipes_are_what_the_mission_says():
    seed, field = load_recipe("seed"), load_recipe("field")
    assert (seed.backbone, seed.crops, seed.grid, seed.views) == ("facebook/dinov2-giant", "whole", 16, 6)
    assert (seed.blur_sigma, seed.heads, seed.patch.hidden, seed.balance) == (1.1, "patch", 128, False)
    assert (seed.average_views, seed.in_prediction().views) == (False, 6)
    assert (field.backbone, field.crops, field.grid, field.balance) == ("facebook/dinov2-giant", "halves", 37, True)
    assert (field.views, field.in_prediction().views, field.ridge.link) == (4, 1, "square root")


def test_crosspvt_sees_native_tiles_and_can_bring_back_the_originals_defects_one_by_one(tmp_path):
    shipped = load_recipe("crosspvt")
    assert (shipped.backbone, shipped.crops, shipped.tiles) == ("facebook/dinov2-base", "tiles", "native")
    assert (shipped.grid, shipped.views, shipped.keep, shipped.balance) == (36, 3, "class", True)
    assert shipped.crosspvt.defects == frozenset()
    file = tmp_path / "original.toml"
    for value, defects in (("true", {"padding", "detached", "raw_grams"}), ('["padding"]', {"padding"})):
        file.write_text(TILES.replace('"ridge"', '"crosspvt"') + f"[crosspvt]\nas_published={value}\n", "utf-8")
        assert load_recipe(file).crosspvt.defects == defects
    file.write_text(TILES + '[crosspvt]\nas_published=["leaky_folds"]\n', "utf-8")
    with pytest.raises(RecipeInvalid, match="leaky_folds"):
        load_recipe(file)


TILES = GOOD.replace('"whole"', '"tiles"') + 'keep="class"\n'


@pytest.mark.parametrize(("text", "said"), [
    (GOOD + "heterogeneity=true\n", "heterogeneity was removed.*remove the key"),
    (GOOD + "predict_views=3\n", "predict_views is at most views, the 2 that the heads are trained on"),
    (GOOD + "average_views=true\npredict_views=1\n", "predict_views has to be views"),
    (GOOD.replace('"whole"', '"tiles"'), r'crops = "tiles" requires keep = "class"'),
    (TILES.replace("grid=16", "grid=1"), "requires a grid of at least 2"),
    (TILES + "average_views=true\n", 'average_views requires crops = "whole" or "halves"'),
    (GOOD.replace('"ridge"', '"crosspvt"'), r'heads = "crosspvt" requires crops = "tiles"'),
    (TILES + "[crosspvt]\ninner_width=100\n", "crosspvt.inner_width.*multiple of 6"),
    (TILES + "[crosspvt]\nwidths=[8, 16, 30]\n", "crosspvt.widths.2.*multiple of 8"),
])  # fmt: skip
def test_settings_that_do_not_fit_together_are_refused(tmp_path, text, said):
    file = tmp_path / "x.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(RecipeInvalid, match=said):
        load_recipe(file)


def test_a_file_is_a_recipe_named_after_it(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(GOOD + "[patch]\nepochs=3\n", "utf-8")
    mine = load_recipe(file)
    assert (mine.name, mine.patch.epochs, mine.patch.rho) == ("mine", 3, 0.05)
    assert hash(mine) == hash(load_recipe(file))


def test_all_faults_are_in_one_message(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(
        GOOD.replace("grid=16", "grid=0").replace("views=2", "views=7") + "colour=1\n[patch]\nrho=-1.0\n", "utf-8"
    )
    with pytest.raises(RecipeInvalid) as caught:
        load_recipe(file)
    for part in ("bad.toml", "4 faults", "grid", "views", "colour", "patch.rho", "-1.0"):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["grid = ", 'grid = "16"\n' + GOOD.replace("grid=16\n", "")])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    file = tmp_path / "x.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(RecipeInvalid):
        load_recipe(file)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(RecipeInvalid, match=r"crosspvt, field, seed.*got 'sead'"):
        load_recipe("sead")


def test_prediction_has_the_first_views_of_training():
    field, seed = load_recipe("field"), load_recipe("seed")
    assert [field.in_prediction(views).views for views in (None, 1, 4)] == [1, 1, 4]
    assert [seed.in_prediction(views).views for views in (None, 2)] == [6, 2]
    for views in (0, 5):
        with pytest.raises(InputInvalid, match=f"`views={views}`: expected 1 to 4"):
            field.in_prediction(views)


def test_a_recipe_file_of_version_0_1_0_without_heterogeneity_is_read(tmp_path):
    file = tmp_path / "old.toml"
    file.write_text(GOOD + "heterogeneity=false\n[ridge]\nheterogeneity_weight=1.0\nalphas=[3.0]\n", "utf-8")
    assert load_recipe(file).ridge.alphas == (3.0,)

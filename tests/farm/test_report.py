"""season.html, season.csv and the pictures."""

import re
from datetime import timedelta

import pandas as pd
import pytest

from herbage.errors import OutputExists
from herbage.farm.report import season_page, summary
from herbage.steps import farm_report
from tests.farm.walks import DAY, a_model, a_walk


@pytest.fixture
def season(farm):
    """Four walks: North grows, South is grazed before the third, and the last is estimated by another model."""
    covers = [(1500, 2800), (2000, 3100), (2500, 1000), (2700, 1500)]
    for number, (north, south) in enumerate(covers):
        walk = a_walk(DAY + timedelta(days=20 * number), {"North": north, "South <b>": south}, seed=number)
        farm.add_estimates(walk, a_model() if number < 3 else a_model(digest="b" * 64, seed=3))
    return farm


def test_the_page_is_one_file_that_says_what_the_season_says(season, tmp_path):
    farm_report(season, out=tmp_path / "out", pre_grazing=2900, residual=1500)
    page = (tmp_path / "out/season.html").read_text("utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "South &lt;b&gt;" in page
    assert "South <b>" not in page
    assert page.count("<svg") == 2
    assert page.count('class="grazing"') == page.count("between</th>") == 1
    assert page.count('class="model"') == 2
    assert "estimated by another model than the visit before" in page
    assert "4.2" not in page
    assert "2,700 on 2025-10-31" in page
    table = pd.read_csv(tmp_path / "out/season.csv")
    assert len(table) == 8
    assert table["possible_grazing"].sum() == 1
    for name in ("wedge.png", "growth.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExists):
        farm_report(season, out=tmp_path / "out")
    before = page
    farm_report(season, out=tmp_path / "out", pre_grazing=2900, residual=1500, overwrite=True)
    assert (tmp_path / "out/season.html").read_text("utf-8") == before


def test_a_farm_without_visits_has_a_page_too(farm, tmp_path):
    page = season_page(farm.season(), "Season")
    assert "No photo of this farm is in a paddock yet" in page
    assert "North" in page  # not visited
    assert summary(farm.season()) == "2 paddocks, no visits."
    farm_report(farm, out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["season.csv", "season.html"]


def test_the_summary_is_that_of_the_newest_walk(season):
    lines = summary(season.season(pre_grazing=2900)).splitlines()
    assert lines[0] == "Newest walk 2025-10-31: 2 of 3 paddocks"
    assert lines[1].startswith("Average pasture cover 2,700 (")  # South <b> has no polygon, and so no area
    assert [line.split()[0] for line in lines[-3:]] == ["paddock", "North", "South"]

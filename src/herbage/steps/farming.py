"""Write the report of a farm's season."""

from pathlib import Path

from herbage.farm.farm import Farm
from herbage.farm.report import FILES, write_report
from herbage.farm.season import Season
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.outputs import check_output_files
from herbage.remarks import log_remarks


def farm_report(
    farm: str | Path | Farm,
    *,
    out: str | Path,
    level: float = DEFAULT_LEVEL,
    pre_grazing: float | None = None,
    residual: float | None = None,
    overwrite: bool = False,
) -> Season:
    """Write season.html, season.csv, wedge.png and growth.png to the folder `out`; the farm file is not changed.

    `level` is that of intervals; `pre_grazing` and `residual` are the targets in kg DM/ha of paddocks that have none of
    their own in the farm. Raises InputInvalid and OutputExists.
    """
    opened = farm if isinstance(farm, Farm) else Farm(farm)
    check_output_files(Path(out), FILES, overwrite=overwrite)
    season = opened.season(level=level, pre_grazing=pre_grazing, residual=residual)
    log_remarks(season.remarks())
    write_report(season, Path(out), opened.title)
    return season

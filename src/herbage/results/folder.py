"""The results folder of a `predict` run."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from herbage.files import write_atomic
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.photos.exif import PhotoFacts
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.results.geojson import open_photos_geojson
from herbage.results.overlay import map_files
from herbage.results.paddock_assignment import Assignment
from herbage.results.paddocks import PaddockSummary
from herbage.results.predictions import PredictionsTable
from herbage.results.report import PredictionsReport
from herbage.results.request import PredictRequest
from herbage.results.wedge import draw_wedge

PADDOCK_FILES = ("paddocks.csv", "paddocks.geojson", "wedge.png")

MAX_OUTSIDE = 1000
"""The positions of so many photos outside all polygons are stored, to explain why no photo is in a paddock."""


@dataclass(frozen=True)
class PaddockOptions:
    """How paddocks are summarised; `pre_grazing` and `residual` are the ends of the wedge's target line in kg DM/ha."""

    assignment: Assignment
    pre_grazing: float | None = None
    residual: float | None = None


class ResultsFolder:
    """Takes estimates one by one and writes predictions.csv, photos.geojson, the files of paddocks, and report.html.

    Rows and points are written as they are added, so that memory stays constant; the other files are written when the
    context ends without an error. Overlays and maps are written where they are computed; those of an earlier run that
    were not written again are deleted.

    >>> folder = ResultsFolder(Path("results"), model, request, paddocks=None, overwrite=False)
    >>> reused = folder.begin(files)
    >>> with folder:
    ...     for item in estimates:
    ...         folder.add(item.file, item.estimate, partial(item.picture, folder.maps))
    """

    def __init__(
        self,
        place: Path,
        model: HerbageModel,
        request: PredictRequest,
        *,
        paddocks: PaddockOptions | None,
        remarks: Iterable[Remark] = (),
        overwrite: bool,
    ) -> None:
        """Raises OutputExists where complete results exist that may not be replaced; `remarks` are for the report."""
        self.place, self.request, self.paddock_options = place, request, paddocks
        self.table = PredictionsTable(place / "predictions.csv", overwrite=overwrite)
        self.report = PredictionsReport(model, request.level)
        self.remarks = list(remarks)
        self.paddocks = None if paddocks is None else PaddockSummary.of(model, request.level)
        self.reused = 0
        self._added = 0
        self._stale_maps: set[str] = set()
        self._had_results = False
        self._outside: list[tuple[float | None, float | None]] = []
        self._open = ExitStack()

    @property
    def maps(self) -> Path | None:
        """The folder of overlays and maps, None where there are none."""
        return self.place / "maps" if self.request.maps else None

    @property
    def attempts(self) -> Path:
        """Where the workers of a cluster record photos in progress."""
        return self.place.absolute() / ".attempts"

    @property
    def unassigned(self) -> int:
        """The number of photos without a paddock."""
        return 0 if self.paddocks is None else self.paddocks.unassigned

    def begin(self, files: Sequence[PhotoFile]) -> int:
        """Return how many leading rows of an interrupted run with an equal request can be reused; truncate the rest.

        Raises OutputExists.
        """
        self._had_results = self.table.place.exists()
        self._stale_maps = self._existing_maps()
        self.reused = self.table.begin(files, self.request.key())
        if not self.reused:
            shutil.rmtree(self.attempts, ignore_errors=True)
        return self.reused

    def reused_rows(self) -> Iterator[dict[str, Any]]:
        """The cells of the reused rows, as `Estimate.of_row` takes them."""
        return self.table.rows(self.reused)

    def __enter__(self) -> "ResultsFolder":
        """Open the files that grow."""
        with ExitStack() as stack:
            self._rows = stack.enter_context(self.table.writer())
            self._points = stack.enter_context(open_photos_geojson(self.place / "photos.geojson"))
            self._open = stack.pop_all()
        return self

    def add(self, file: PhotoFile, estimate: Estimate, picture: Callable[[], bytes | None]) -> None:
        """Add the next estimate, the reused ones first; `picture` loads its overlay or photo for the report."""
        facts = estimate.facts.redacted(self.request.coordinates, self.request.round_coordinates)
        written = replace(estimate, facts=facts).rounded()
        if self._added >= self.reused:
            self._rows.add(written)
        self._added += 1
        self._points.add(written)
        self.report.add(written, picture)
        if estimate.status != "ok":
            return
        self._add_to_paddock(file, estimate.facts, written)
        if self.request.maps:
            self._stale_maps -= set(map_files(estimate.photo))

    def _add_to_paddock(self, file: PhotoFile, facts: PhotoFacts, written: Estimate) -> None:
        if self.paddocks is not None and self.paddock_options is not None:
            assignment = self.paddock_options.assignment
            if file.name in assignment.copies:
                return
            paddock = assignment.paddock_of(file, facts)
            self.paddocks.add(paddock, written)
            place = (facts.longitude, facts.latitude)
            if paddock is None and None not in place and len(self._outside) < MAX_OUTSIDE:
                self._outside.append(place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete all files; after an error, leave the finished rows for the next run."""
        self._open.__exit__(kind, error, traceback)
        if error is not None:
            return
        shutil.rmtree(self.attempts, ignore_errors=True)
        written = self._write_paddocks()
        self._delete_stale(written)
        write_atomic(self.place / "report.html", self.report.html(self.remarks))

    def finish(self) -> None:
        """Declare the run complete; until then it can be resumed without estimating a photo again."""
        self.table.finish()

    def estimates(self, area_m2: float) -> Iterator[Estimate]:
        """The estimates of the complete table, in order, for quadrats of this area."""
        for cells in self.table.rows(self._added):
            yield Estimate.of_row(cells, level=self.request.level, quadrat_area_m2=area_m2)

    def _write_paddocks(self) -> set[str]:
        """Write the files of paddocks; returns their names."""
        if self.paddocks is None or self.paddock_options is None:
            return set()
        options, table = self.paddock_options, self.paddocks.table()
        self.remarks += self.paddocks.remarks()
        files = {"paddocks.csv": self.paddocks.csv().encode()}
        if self.request.coordinates:
            geojson = self.paddocks.geojson(options.assignment.polygons, self.request.round_coordinates)
            files["paddocks.geojson"] = geojson.encode()
        if table.empty:
            polygons = options.assignment.polygons
            why = "" if polygons is None else " Only photos with a position can be assigned by polygons."
            self.remarks.append(Remark("no_paddocks", f"No estimated photo belongs to a paddock.{why}"))
            if polygons is not None and (missed := polygons.explain_misses(self._outside)):
                self.remarks.append(missed)
        else:
            files["wedge.png"] = draw_wedge(table, pre_grazing=options.pre_grazing, residual=options.residual)
            self.report.add_paddocks(table, files["wedge.png"])
        for name, content in files.items():
            write_atomic(self.place / name, content)
        return set(files)

    def _existing_maps(self) -> set[str]:
        """The map files of an earlier run. Other files in the folder belong to the user and are left alone."""
        existing = {path.name for path in (self.place / "maps").glob("*")}
        if not existing:
            return set()
        return {name for photo in self.table.photos() for name in map_files(photo) if name in existing}

    def _delete_stale(self, written: set[str]) -> None:
        """Delete files of an earlier run that this run did not write, and temporary files of workers that died."""
        maps = self.place / "maps"
        stale = [maps / name for name in self._stale_maps]
        stale += maps.glob(".*.tmp")
        if self._had_results:
            stale += [self.place / name for name in PADDOCK_FILES if name not in written]
        for path in stale:
            path.unlink(missing_ok=True)

"""HerbageModel: estimates photos from their tokens, and is saved to and opened from one folder."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
from huggingface_hub import ModelHubMixin
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.opening import BackboneOptions, open_backbone
from herbage.errors import BackboneInvalid, InputInvalid, ModelInvalid
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.files import new_folder, write_atomic
from herbage.heads.finalise import finalise_grams, photo_map
from herbage.heads.heads import Heads
from herbage.heads.kinds import open_heads
from herbage.heads.measured import append_measured, measured_inputs
from herbage.model.assessment import Assessment
from herbage.model.card import write_card
from herbage.model.config import CalibrationRecord, ModelConfig, read_config, write_config
from herbage.model.earlier import EARLIER_FORMAT, upgrade_heads
from herbage.model.estimate import COLUMNS, DEFAULT_LEVEL, NUMBERS, Estimate
from herbage.model.evidence import Evidence
from herbage.model.folder import download, read_tensors, refuse_links
from herbage.outputs import check_model_place
from herbage.photos.discovery import find_photos
from herbage.photos.photo import Photo, PhotoFile
from herbage.recipe import Recipe
from herbage.remarks import log_remarks
from herbage.tables.sidecar import read_sidecar
from herbage.targets import QUADRAT_AREA_M2, TargetMask, balance, g_per_m2
from herbage.tokens.extraction import Extracted, stream_tokens
from herbage.tokens.layout import tokens_shape
from herbage.tokens.store import TokenStore

log = logging.getLogger("herbage")

ASPECT_FACTOR = 1.25
"""A photo's aspect ratio may differ from the training photos' by this factor before it is flagged."""


class HerbageModel(ModelHubMixin, library_name="herbage", tags=["pasture", "biomass"]):
    """The trained estimator. Estimates are balanced where the recipe says so.

    On disk it is a folder with `model.safetensors`, `config.json`, `README.md` (the card), and for a trained model
    `oof.csv` and `report.html`; no pickle. `from_pretrained`, `save_pretrained` and `push_to_hub` work as in the
    Hugging Face libraries. `evidence` is None for imported heads. `measured_heads` are given the measured columns of
    the config in addition to the photo, and are used where a photo has all their values.
    """

    def __init__(
        self,
        config: ModelConfig,
        heads: Heads,
        evidence: Evidence | None = None,
        *,
        measured_heads: Heads | None = None,
        report: str | None = None,
        dropped: dict[str, str] | None = None,
    ) -> None:
        self.config = config
        self.heads = heads
        self.measured_heads = measured_heads
        self.evidence = evidence
        self.report = report
        self.dropped = dropped or {}
        """Photos of the table that could not be read, with the reason; only in the process that trained the model."""
        self._backbones: dict[tuple[str, str, str], Backbone] = {}

    def __repr__(self) -> str:
        r2 = None if self.evidence is None else self.evidence.alone.score.weighted_r2
        score = "no score" if r2 is None else f"out-of-fold weighted R2 {r2:.3f}"
        return f"<HerbageModel recipe {self.recipe.name} on {self.config.backbone.name}, {score}>"

    @property
    def recipe(self) -> Recipe:
        """The recipe it was trained with."""
        return self.config.recipe

    @property
    def known(self) -> TargetMask:
        """The targets that it estimates."""
        return (True,) * 5 if self.evidence is None else self.evidence.known

    @property
    def measured_names(self) -> tuple[str, ...]:
        """The names of the measured columns, in the order of `PhotoFile.measured`."""
        return tuple(column.name for column in self.config.measured_columns)

    @property
    def quadrat_area_m2(self) -> float:
        """The area of the quadrats it was trained on, in m2."""
        return QUADRAT_AREA_M2 if self.evidence is None else self.evidence.training.quadrat_area_m2

    @property
    def map_scale_g_per_m2(self) -> Float[np.ndarray, "5"] | None:
        """The top of the maps' colour scale per target in g/m2, so that colours do not depend on the quadrat's area."""
        return None if self.evidence is None else g_per_m2(self.evidence.map_scale_g, self.quadrat_area_m2)

    @cached_property
    def digest(self) -> str:
        """sha256 of what determines its estimates: its tensors and its config.json."""
        return sha256(self._tensors_file() + self._config_file().encode()).hexdigest()

    def require_evidence(self, purpose: str) -> Evidence:
        """The evidence; raises ModelInvalid for imported heads, whose errors are unknown. `purpose` names the step."""
        if self.evidence is None:
            raise ModelInvalid(
                f"{purpose} needs out-of-fold estimates, which a model with imported heads does not have. Train a "
                f"model, or score this one on a weighed `table` with its `photos`."
            )
        return self.evidence

    def require_calibration(self) -> CalibrationRecord:
        """The calibration; raises ModelInvalid for a model that was not calibrated."""
        calibration = self.require_evidence("Calibration").alone.calibration
        if calibration is None:
            raise ModelInvalid("The model was not calibrated.")
        return calibration

    def open_backbone(
        self,
        backbone: str | Path | Backbone | None = None,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
    ) -> Backbone:
        """Open the model's backbone, on first use; `backbone` is its folder or hub id if it has moved since training.

        Raises BackboneInvalid where its weights are not those that the heads were trained on.
        """
        source = backbone or self.config.backbone.name
        key = (source.name if isinstance(source, Backbone) else str(source), device, precision)
        if key not in self._backbones:
            opened = open_backbone(source, device=device, precision=precision)
            trained_on = self.config.backbone.digest
            if trained_on not in (opened.digest, opened.source_digest):
                raise BackboneInvalid(
                    f"The model's heads were trained on {self.config.backbone.name} (weights "
                    f"{trained_on[:12]}); {key[0]} has weights {opened.digest[:12]}. "
                    f"Pass the folder with the right weights as `backbone`."
                )
            if opened.digest != trained_on:
                log.warning(
                    "%s is an export of the model's backbone: estimates differ by the amount in its parity report.",
                    key[0],
                )  # fmt: skip
            elif opened.engine.record() != self.config.backbone.engine:
                log.warning(
                    "This engine (%s) differs from the one that the model was trained with (%s): "
                    "estimates may differ in the last digits.",
                    ", ".join(opened.engine.record().values()), ", ".join(self.config.backbone.engine.values()),
                )  # fmt: skip
            self._backbones[key] = opened
        return self._backbones[key]

    def estimates(
        self,
        files: Sequence[PhotoFile],
        backbone: Backbone,
        *,
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        with_map: bool = False,
        views: int | None = None,
        store: str | Path | None = None,
    ) -> Iterator[tuple[Estimate, Extracted]]:
        """Estimate photos one by one, in the order given; each comes with the opened photo and its tokens.

        `quadrat_area_m2` is the area that the photos show, where it differs from the training quadrats; it changes
        grams per quadrat, but not kg per ha. `views` is the number of views, by default that of the recipe. The
        measured heads are used for files whose `measured` holds all values. Raises InputInvalid.
        """
        self.heads = self.heads.to(backbone.engine.device)
        recipe = self.recipe.in_prediction(views)
        token_store = None if store is None else TokenStore(store, backbone, recipe)
        for item in stream_tokens(files, backbone, recipe, token_store, open_photos=True):
            if item.failure is not None:
                yield Estimate.failed(item.file.name, item.failure), item
                continue
            photo, tokens = item.content()
            estimate = self.estimate_tokens(
                tokens,
                item.file.name,
                level=level,
                quadrat_area_m2=quadrat_area_m2,
                with_map=with_map,
                measured=item.file.measured,
            )
            yield self._with_photo(estimate, photo), item

    def estimate_tokens(
        self,
        tokens: Float[Tensor, "view patch width"],
        photo: str = "",
        *,
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        with_map: bool = False,
        measured: Sequence[float] = (),
    ) -> Estimate:
        """Estimate one photo, named `photo`, from its tokens; in g per quadrat.

        `measured` are the values of the config's measured columns, NaN where one is missing, or none at all.
        """
        inputs, in_domain = self.measured_inputs(measured), None
        heads, given, assessment = self.heads, tokens, None if self.evidence is None else self.evidence.alone
        if inputs is not None and self.measured_heads is not None and self.evidence is not None:
            heads, given, assessment = self.measured_heads, append_measured(tokens, inputs), self.evidence.measured
        grams = self.finalise(heads.grams(given).numpy(), assessment)
        low, high = np.full(5, np.nan), np.full(5, np.nan)
        if self.evidence is not None and assessment is not None:
            low, high = assessment.intervals.around(grams, level)
            in_domain = self.evidence.domain.contains(tokens)
        density = photo_map(heads, given, grams, self.recipe) if with_map else None
        area = quadrat_area_m2 or self.quadrat_area_m2
        scale = area / self.quadrat_area_m2
        return Estimate(
            photo,
            grams=grams * scale,
            low=low * scale,
            high=high * scale,
            level=level,
            quadrat_area_m2=area,
            map=None if density is None else density * scale,
            in_domain=in_domain,
            measured=inputs is not None,
        )

    @property
    def uses_measured(self) -> bool:
        """Whether there are heads with measured columns, which own cuts have calibrated if the model is calibrated."""
        if self.evidence is None or self.evidence.measured is None:
            return False
        return self.evidence.alone.calibration is None or self.evidence.measured.calibration is not None

    def measured_inputs(self, measured: Sequence[float]) -> Float[np.ndarray, " column"] | None:
        """The inputs of the measured heads; None where they are not used, or a value is missing or cannot be used."""
        if not measured or not self.uses_measured:
            return None
        inputs = measured_inputs(self.config.measured_columns, np.array(measured, float))
        return None if np.isnan(inputs).any() else inputs

    def finalise(self, raw_g: Any, assessment: Assessment | None, *, xp: Any = np) -> Any:
        """Final estimates (..., 5) in g from raw ones: balanced if the recipe requires it, and corrected if calibrated.

        `assessment` is that of the heads; `xp` is the array namespace, numpy or torch.
        """
        grams = finalise_grams(raw_g, self.recipe, self.known, xp=xp)
        if assessment is None or assessment.calibration is None:
            return grams
        return assessment.calibration.correction.apply(balance(grams, self.known, xp=xp), self.known, xp=xp)

    def _with_photo(self, estimate: Estimate, photo: Photo) -> Estimate:
        """Add the photo's EXIF data and remarks, and flag training photos and photos of another shape."""
        messages = list(photo.remarks)
        if photo.converted_from and not self.config.colours_converted:
            messages.append(f"colours converted from {photo.converted_from}; the model was trained without conversion")
        messages += self._doubts_on_measured(estimate, photo.file.measured)
        if self.evidence is None:
            return replace(estimate, facts=photo.facts, message="; ".join(messages))
        usual = self.evidence.training.aspect
        training_photo = any(self.evidence.row(of) is not None for of in (photo.sha256, photo.key))
        shape_differs = not 1 / ASPECT_FACTOR <= photo.aspect / usual <= ASPECT_FACTOR
        if training_photo:
            messages.append("training photo: expect larger errors on new photos")
        if shape_differs:
            messages.append(
                f"aspect ratio (width / height) {photo.aspect:.2f}, training photos {usual:.2f}; if the photo shows "
                f"more than the quadrat, set the quadrat's corners"
            )
        return replace(
            estimate,
            facts=photo.facts,
            message="; ".join(messages),
            training_photo=training_photo,
            shape_differs=shape_differs,
        )

    def _doubts_on_measured(self, estimate: Estimate, measured: Sequence[float]) -> Iterator[str]:
        """A message per measured value that cannot be used, or was used although it is outside the training range."""
        if not measured or not self.uses_measured:
            return
        for column, value in zip(self.config.measured_columns, measured, strict=True):
            span = f"the training range, {column.low:g} to {column.high:g}"
            if not np.isnan(value) and not column.is_usable(value):
                yield f"{column.name} {value:g} is not used: it is too far outside {span}"
            elif estimate.measured and not column.contains(value):
                yield f"{column.name} {value:g} is outside {span}"

    def estimate(
        self,
        photo: str | Path,
        *,
        measured: Mapping[str, float | None] | None = None,
        views: int | None = None,
        backbone: str | Path | Backbone | None = None,
    ) -> Estimate:
        """Estimate one photo, with its map, in g per quadrat; raises PhotoUnreadable and InputInvalid.

        `measured` are values by the names of the model's measured columns, such as {"Height_Ave_cm": 12}.
        """
        file = PhotoFile(Path(photo).name, Path(photo), measured=self._in_order(measured or {}))
        estimate, item = next(self.estimates([file], self.open_backbone(backbone), with_map=True, views=views))
        if item.failure:
            raise item.failure
        return estimate

    def _in_order(self, measured: Mapping[str, float | None]) -> tuple[float, ...]:
        """Values by name in the order of the model's measured columns, NaN where one is missing."""
        if unknown := [name for name in measured if name not in self.measured_names]:
            has = f"it has {', '.join(self.measured_names)}" if self.measured_names else "it has none"
            raise InputInvalid(f"The model has no measured column {', '.join(unknown)}; {has}.")
        values = {name: np.nan if value is None else value for name, value in measured.items()}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or np.isinf(value):
                raise InputInvalid(f"{name}: expected a finite number or None, got {value!r}.")
        return tuple(float(values.get(name, np.nan)) for name in self.measured_names) if values else ()

    def predict(
        self,
        photos: str | Path,
        *,
        table: str | Path | pd.DataFrame | None = None,
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        views: int | None = None,
        store: str | Path | None = None,
        **options: Unpack[BackboneOptions],
    ) -> pd.DataFrame:
        """Estimate a folder, a photo or a text file of paths; returns a data frame with predictions.csv's columns.

        `table` has `image_path` and the model's measured columns, or the corners of quadrats. It writes no files:
        `herbage.predict` does. Weights are in g per quadrat and kg per ha.
        """
        found = find_photos(photos)
        files: Sequence[PhotoFile] = found
        remarks = found.remarks
        if table is not None:
            folder = Path(photos).resolve().name if Path(photos).is_dir() else ""
            sidecar = read_sidecar(table, found, folder=folder, measured=self.measured_names)
            files, remarks = sidecar.files, (*remarks, *sidecar.remarks)
        log_remarks(remarks)
        opened = self.open_backbone(**options)
        made = self.estimates(files, opened, level=level, quadrat_area_m2=quadrat_area_m2, views=views, store=store)
        frame = pd.DataFrame([estimate.row() for estimate, _ in made], columns=list(COLUMNS))
        return frame.astype(dict.fromkeys(NUMBERS, float))

    def without_calibration(self) -> "HerbageModel":
        """The model before it was corrected by own cuts; it shares the opened backbones."""
        if self.evidence is None or self.evidence.alone.calibration is None:
            return self
        plain = HerbageModel(self.config, self.heads, self.evidence.uncalibrated(), measured_heads=self.measured_heads)
        plain._backbones = self._backbones
        return plain

    def write(self, place: Path, run: str, *, overwrite: bool) -> None:
        """Write the model folder with run.json; an existing model is replaced only when the new one is complete."""
        with new_folder(place) as new:
            self.save_pretrained(new)
            write_atomic(new / "run.json", run)
            check_model_place(place, overwrite=overwrite)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # only what a herbage model needs
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> "HerbageModel":
        """Open a model folder or a hub id, optionally with @REVISION.

        Raises ModelInvalid where it is not a complete model of a known format.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            folder = download(
                str(pretrained_model_name_or_path),
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
            )
        refuse_links(folder)
        config, record = read_config(folder / "config.json")
        tensors = read_tensors(folder / "model.safetensors")
        _, _, width = tokens_shape(config.recipe, config.backbone.width)
        evidence = None
        if record is not None:
            evidence = Evidence.open(record, OutOfFold.read(folder / "oof.csv"), tensors, width)
        known = (True,) * 5 if evidence is None else evidence.known
        own = _below("heads.", tensors)
        if config.format == EARLIER_FORMAT:
            own = upgrade_heads(own, config.recipe, width)
        heads = open_heads(config.recipe, own, folds=config.folds, width=width, known=known)
        measured_heads, own = None, _below("measured.heads.", tensors)
        columns = len(config.measured_columns)
        if bool(columns) != bool(own) or bool(columns) != bool(evidence and evidence.measured):
            raise ModelInvalid(f"{folder} has only a part of what belongs to measured columns; the model is damaged.")
        if columns:
            measured_heads = open_heads(config.recipe, own, folds=config.folds, width=width + columns, known=known)
        report = folder / "report.html"
        return cls(
            config,
            heads,
            evidence,
            measured_heads=measured_heads,
            report=report.read_text("utf-8", errors="replace") if report.is_file() else None,
        )

    def _tensors_file(self) -> bytes:
        sets = {"heads.": self.heads, "measured.heads.": self.measured_heads}
        tensors = {
            prefix + name: tensor.contiguous()
            for prefix, heads in sets.items()
            if heads is not None
            for name, tensor in heads.tensors().items()
        }
        if self.evidence is not None:
            tensors |= self.evidence.tensors()
        content: bytes = save(tensors, {"format": "pt"})
        return content

    def _config_file(self) -> str:
        return write_config(self.config, None if self.evidence is None else self.evidence.record())

    def _save_pretrained(self, save_directory: Path) -> None:
        write_atomic(save_directory / "model.safetensors", self._tensors_file())
        write_atomic(save_directory / "README.md", write_card(self.config, self.evidence))
        if self.evidence is not None:
            write_atomic(save_directory / "oof.csv", self.evidence.oof.csv())
        if self.report is not None:
            write_atomic(save_directory / "report.html", self.report)
        # The config is written last: a folder with a config.json is complete.
        write_atomic(save_directory / "config.json", self._config_file())


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def open_model(model: str | Path | HerbageModel) -> HerbageModel:
    """The model of a folder or a hub id; an open model is returned as it is. Raises ModelInvalid."""
    return model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)

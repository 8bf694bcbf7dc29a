"""HerbageModel: from tokens to an estimate, and to one folder on disk and back."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from huggingface_hub import ModelHubMixin
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import grid_shape
from herbage.errors import BackboneInvalid
from herbage.evaluation.comparison import estimated, weighed
from herbage.evaluation.out_of_fold import deliver, read_oof
from herbage.files import new_folder, write_whole
from herbage.heads.heads import Heads, open_heads
from herbage.model.calibration import Correction
from herbage.model.card import write_card
from herbage.model.config import ModelConfig, read_config
from herbage.model.estimate import ODD_SHAPE, TRAINED_ON, Estimate, estimates_table
from herbage.model.evidence import Knowledge
from herbage.model.folder import download, read_tensors, refuse_links, refuse_place
from herbage.model.intervals import Intervals
from herbage.photos.discovery import find_photos
from herbage.photos.photo import NO_FACTS, Photo, PhotoFacts, PhotoFile
from herbage.recipe import Recipe
from herbage.targets import COMPONENTS, QUADRAT_AREA_M2, SUMS, balance, g_per_m2
from herbage.tokens.extraction import Extracted, stream_tokens
from herbage.tokens.layout import tokens_shape
from herbage.tokens.store import TokenStore

log = logging.getLogger("herbage")

ASPECT_FACTOR = 1.25
"""How far a photo's width over height may be from the training photos' before it is remarked on."""

DEFAULT_LEVEL = 0.9
"""The default level of intervals."""


class HerbageModel(ModelHubMixin, library_name="herbage", tags=["pasture", "biomass"]):
    """The trained estimator. Folds and views are averaged; weights are balanced where the recipe says so.

    On disk a folder of `model.safetensors`, `config.json`, `README.md` (the card), and for a trained model `oof.csv`
    and `report.html`; no pickle. `from_pretrained`, `save_pretrained` and `push_to_hub` follow the Hugging Face habit.
    """

    def __init__(
        self,
        about: ModelConfig,
        heads: Heads,
        knowledge: Knowledge | None = None,
        oof: pd.DataFrame | None = None,
        report: str | None = None,
        dropped: dict[str, str] | None = None,
    ) -> None:
        self.about = about
        self.heads = heads
        self.knowledge = knowledge
        self.oof = oof
        self.report = report
        self.dropped = dropped or {}
        """Photos of the table that could not be read, with the reason; known to the run that trained or calibrated."""
        self._backbones: dict[tuple[str, str, str], Backbone] = {}

    def __repr__(self) -> str:
        about = self.about
        known = about.score is not None and about.score.weighted_r2 is not None
        score = f"out-of-fold weighted R2 {about.score.weighted_r2:.3f}" if known and about.score else "no score"
        return f"<HerbageModel recipe {about.recipe.name} on {about.backbone.name}, {score}>"

    @property
    def recipe(self) -> Recipe:
        """The recipe it was trained by."""
        return self.about.recipe

    @property
    def quadrat_area_m2(self) -> float:
        """The area of the quadrats it was trained on."""
        return self.about.training.quadrat_area_m2 if self.about.training else QUADRAT_AREA_M2

    @property
    def map_scale_g_per_m2(self) -> Float[np.ndarray, "5"] | None:
        """The top of the maps' colour scale by target, by area, so that colours mean the same whatever photos show."""
        return None if self.knowledge is None else g_per_m2(self.knowledge.map_scale_g, self.quadrat_area_m2)

    @cached_property
    def digest(self) -> str:
        """sha256 of what decides its estimates: its tensors and its config.json."""
        return sha256(self._tensors_file() + self._config_file().encode()).hexdigest()

    def open_backbone(
        self, name: str | Path | Backbone | None = None, *, device: Device = "auto", precision: Precision = "auto"
    ) -> Backbone:
        """The model's own backbone, kept open; `name` says where it stands if not where the model remembers it.

        Raises BackboneInvalid where its weights are not those that the heads were trained on.
        """
        asked = name or self.about.backbone.name
        key = (asked.name if isinstance(asked, Backbone) else str(asked), device, precision)
        if key not in self._backbones:
            backbone = open_backbone(asked, device=device, precision=precision)
            trained_on = self.about.backbone.digest
            if trained_on not in (backbone.digest, backbone.source_digest):
                raise BackboneInvalid(
                    f"The model's heads were trained on {self.about.backbone.name} (weights "
                    f"{trained_on[:12]}); {key[0]} has weights {backbone.digest[:12]}. "
                    f"Give the folder of the right weights with --backbone."
                )
            if backbone.digest != trained_on:
                log.warning(
                    "%s is an export of the backbone that the model was trained with: estimates differ by what "
                    "its parity report says.", key[0],
                )  # fmt: skip
            elif backbone.engine.record() != self.about.backbone.engine:
                log.warning(
                    "This engine (%s) is not the one that the model was trained with (%s): "
                    "estimates may differ in the last digits.",
                    ", ".join(backbone.engine.record().values()), ", ".join(self.about.backbone.engine.values()),
                )  # fmt: skip
            self._backbones[key] = backbone
        return self._backbones[key]

    def estimates(
        self,
        files: Sequence[PhotoFile],
        backbone: Backbone,
        *,
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        with_map: bool = False,
        store: str | Path | None = None,
    ) -> Iterator[tuple[Estimate, Extracted]]:
        """An estimate of each photo in the order given, as it is made, with the opened photo beside it.

        `quadrat_area_m2`: the area that the photos show, where it differs from the training quadrats'; it changes
        grams a quadrat, never kg a hectare.
        """
        self.heads = self.heads.to(backbone.engine.device)
        kept = None if store is None else TokenStore(store, backbone, self.recipe)
        for item in stream_tokens(files, backbone, self.recipe, kept, open_photos=True):
            if item.tokens is None or item.photo is None:
                assert item.failure is not None
                yield Estimate.failed(item.file.name, item.failure), item
                continue
            yield (
                self.estimate_tokens(
                    item.tokens,
                    item.file.name,
                    facts=item.photo.facts,
                    level=level,
                    quadrat_area_m2=quadrat_area_m2,
                    with_map=with_map,
                    message="; ".join(self._remarks(item.photo)),
                ),
                item,
            )

    def estimate_tokens(
        self,
        tokens: Float[Tensor, "view kept width"],
        photo: str,
        *,
        facts: PhotoFacts = NO_FACTS,
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        with_map: bool = False,
        message: str = "",
    ) -> Estimate:
        """The estimate of one photo from its tokens."""
        raw = self.heads.grams(tokens).double().mean((1, 2)).numpy()
        grams = deliver(raw, self.recipe)
        if calibration := self.about.calibration:
            grams = Correction.of(calibration.slope, calibration.offset_g).apply(balance(grams))
        low, high, inside = np.full(5, np.nan), np.full(5, np.nan), None
        if self.knowledge is not None:
            low, high = self.knowledge.intervals.around(grams, level)
            inside = self.knowledge.domain.contains(tokens)
        area = quadrat_area_m2 or self.quadrat_area_m2
        scale = area / self.quadrat_area_m2
        density = self._map(tokens, grams) if with_map else None
        return Estimate(
            photo,
            grams=grams * scale,
            low=low * scale,
            high=high * scale,
            level=level,
            quadrat_area_m2=area,
            map=None if density is None else density * scale,
            in_domain=inside,
            facts=facts,
            message=message,
        )

    def _remarks(self, photo: Photo) -> Iterator[str]:
        """What to say of a training photo, and of one that shows more or less of the quadrat than those do."""
        if self.about.training is None or self.knowledge is None:
            return
        if self.knowledge.row(photo.sha256) is not None:
            yield TRAINED_ON
        usual = self.about.training.aspect
        if not 1 / ASPECT_FACTOR <= photo.aspect / usual <= ASPECT_FACTOR:
            yield f"{photo.aspect:.2f} {ODD_SHAPE} {usual:.2f}; if it shows more than the quadrat, give its corners"

    def estimate(self, photo: str | Path, *, backbone: str | Path | Backbone | None = None) -> Estimate:
        """The estimate of one photo, with its map; raises PhotoUnreadable."""
        file = PhotoFile(Path(photo).name, Path(photo))
        estimate, item = next(self.estimates([file], self.open_backbone(backbone), with_map=True))
        if item.failure:
            raise item.failure
        return estimate

    def predict(
        self,
        photos: str | Path,
        *,
        backbone: str | Path | Backbone | None = None,
        device: Device = "auto",
        precision: Precision = "auto",
        level: float = DEFAULT_LEVEL,
        quadrat_area_m2: float | None = None,
        store: str | Path | None = None,
    ) -> pd.DataFrame:
        """Estimates of a folder, a photo or a list of paths, with predictions.csv's columns."""
        files = find_photos(photos)
        opened = self.open_backbone(backbone, device=device, precision=precision)
        made = self.estimates(files, opened, level=level, quadrat_area_m2=quadrat_area_m2, store=store)
        return estimates_table(estimate for estimate, _ in made)

    def learn(self, tokens: Sequence[Tensor], group: Int[np.ndarray, " photo"], digests: Sequence[str]) -> None:
        """Take from the training photos what is known beside the heads."""
        assert self.oof is not None
        maps = [self.estimate_tokens(one, "", with_map=True).map for one in tokens]
        shown = [one for one in maps if one is not None]
        intervals = Intervals.learn(weighed(self.oof), estimated(self.oof), group)
        self.knowledge = Knowledge.gather(digests, intervals, group, tokens, shown)

    def without_calibration(self) -> "HerbageModel":
        """The model as it was before own cuts corrected it; its backbones stay open."""
        if self.about.calibration is None:
            return self
        assert self.oof is not None
        assert self.knowledge is not None
        _, group = np.unique(self.oof["group"].astype(str), return_inverse=True)
        intervals = Intervals.learn(weighed(self.oof), estimated(self.oof), group)
        plain = HerbageModel(
            self.about.model_copy(update={"calibration": None}),
            self.heads,
            replace(self.knowledge, intervals=intervals),
            self.oof,
        )
        plain._backbones = self._backbones
        return plain

    def write(self, place: Path, run: str, *, overwrite: bool) -> None:
        """Put the model folder in its place, with run.json; what stood there goes only when the new one is whole."""
        with new_folder(place) as new:
            self.save_pretrained(new)
            write_whole(new / "run.json", run)
            refuse_place(place, overwrite=overwrite)

    def _map(
        self, tokens: Float[Tensor, "view kept width"], grams: Float[np.ndarray, "5"]
    ) -> Float[np.ndarray, "target row column"] | None:
        """The delivered map: at least 0, scaled so that its mean over patches is `grams`, which obeys the sums.

        Where every patch of a target is at 0, its estimate is spread evenly.
        """
        density = self.heads.density(tokens)
        if density is None or not self.recipe.has_map:
            return None
        rows, columns = grid_shape(self.recipe)
        raw = density.double().mean((1, 2)).clamp(min=0).reshape(-1, rows, columns).numpy()
        mean = raw.mean((1, 2))
        share = np.where(mean[:, None, None] > 0, raw / np.where(mean > 0, mean, 1)[:, None, None], 1.0)
        maps = share * grams[:, None, None]
        components = maps[list(COMPONENTS)]
        if not self.recipe.balance or np.isnan(components).any():
            return np.asarray(maps)
        return np.asarray(np.einsum("tc,crk->trk", SUMS, components))

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
        """Open a model folder or a hub id, with @REVISION behind it if not the newest.

        Raises ModelInvalid for what is no whole model of a known format.
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
        about = read_config(folder / "config.json")
        tensors = read_tensors(folder / "model.safetensors")
        own = {name.removeprefix("heads."): tensor for name, tensor in tensors.items() if name.startswith("heads.")}
        _, _, width = tokens_shape(about.recipe, about.backbone.width)
        heads = open_heads(about.recipe, own, folds=about.folds, width=width, known=about.known)
        knowledge = Knowledge.from_tensors(tensors, width, about.known) if about.training else None
        oof, report = folder / "oof.csv", folder / "report.html"
        return cls(
            about,
            heads,
            knowledge,
            read_oof(oof) if oof.is_file() else None,
            report.read_text("utf-8", errors="replace") if report.is_file() else None,
        )

    def _tensors_file(self) -> bytes:
        tensors = {f"heads.{name}": tensor.contiguous() for name, tensor in self.heads.tensors().items()}
        if self.knowledge is not None:
            tensors |= self.knowledge.tensors()
        content: bytes = save(tensors, {"format": "pt"})
        return content

    def _config_file(self) -> str:
        return json.dumps(self.about.model_dump(mode="json"), indent=2) + "\n"

    def _save_pretrained(self, save_directory: Path) -> None:
        # The manifest is written last: a folder with a config.json is whole.
        write_whole(save_directory / "model.safetensors", self._tensors_file())
        write_whole(save_directory / "README.md", write_card(self.about))
        if self.oof is not None:
            write_whole(save_directory / "oof.csv", self.oof.to_csv(index=False, lineterminator="\n"))
        if self.report is not None:
            write_whole(save_directory / "report.html", self.report)
        write_whole(save_directory / "config.json", self._config_file())


def open_model(model: str | Path | HerbageModel) -> HerbageModel:
    """The model of a folder or a hub id; an open one is returned. Raises ModelInvalid."""
    return model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)

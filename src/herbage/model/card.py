"""The model's card: its README, in the hub's form."""

from herbage.formatting import counted
from herbage.model.config import ModelConfig, TrainingRecord
from herbage.model.domain import false_alarms
from herbage.model.evidence import Evidence
from herbage.targets import TARGETS, known_names, main_target


def write_card(config: ModelConfig, evidence: Evidence | None) -> str:
    """The card as Markdown with the hub's front matter."""
    known = (True,) * 5 if evidence is None else evidence.known
    sections = [
        ["---", "library_name: herbage", "tags: [pasture, biomass, herbage-mass]", "---"],
        [f"# herbage model, recipe `{config.recipe.name}`"],
        [f"Estimates {', '.join(known_names(known))} (dry matter, g per quadrat) in a top-view photo of pasture."],
        _origin(config),
        *(_imported() if evidence is None else _trained(config, evidence)),
        *_intended_use(None if evidence is None else evidence.training),
        *_usage(config),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _origin(config: ModelConfig) -> list[str]:
    recipe = config.recipe
    return [
        f"- Backbone: `{config.backbone.name}`, frozen, weights sha256 `{config.backbone.digest}`",
        f"- Input: crops `{recipe.crops}`, {recipe.grid} patches per side, {counted(recipe.views, 'view')}"
        + (" averaged" if recipe.average_views else " in training")
        + f", {recipe.in_prediction().views} in prediction, blur sigma {recipe.blur_sigma}",
        f"- Heads: `{recipe.heads}`, {config.folds} folds; "
        + ("weights balanced so that they add up" if recipe.balance else "weights that need not add up"),
        f"- Origin: {config.source}",
    ]


def _imported() -> list[list[str]]:
    return [
        [
            "The heads were imported without out-of-fold estimates, so intervals, domain and score are unknown. "
            "`herbage score MODEL --table TABLE --photos DIR` scores them on weighed photos."
        ]
    ]


def _trained(config: ModelConfig, evidence: Evidence) -> list[list[str]]:
    training = evidence.training
    grouped = " and ".join(training.grouped_by) or "nothing: **ungrouped, so the score is too high**"
    return [
        ["## Training data"],
        [
            f"{training.photos} photos in {training.groups} groups, folds grouped by {grouped}; "
            f"quadrats of {training.quadrat_area_m2:g} m2."
        ],
        *([[f"{training.in_words}."]] if training.in_words else []),
        ["## Out-of-fold score"],
        _score_table(config, evidence),
        ["## How far to trust it"],
        _trust(config, evidence),
        *_calibration(config, evidence),
    ]


def _score_table(config: ModelConfig, evidence: Evidence) -> list[str]:
    main = TARGETS[main_target(evidence.known)]
    rows = [(config.recipe.name, evidence.alone.score)]
    if evidence.measured is not None:
        rows.append((f"with {_beside(config)}", evidence.measured.score))
    rows += evidence.baselines.items()
    table = [f"| | weighted R2 | RMSE {main} | bias {main} |", "|---|---|---|---|"]
    for label, record in rows:
        target = record.targets[main]
        table.append(f"| {label} | {_r2(record.weighted_r2)} | {target.rmse_g:.2f} | {target.bias_g:+.2f} |")
    delivered = f"Delivered is {config.delivered}."
    return [*table, "", f"Each photo is estimated by one head that was trained without it. {delivered}"]


def _beside(config: ModelConfig) -> str:
    return " and ".join(column.name for column in config.measured_columns)


def _trust(config: ModelConfig, evidence: Evidence) -> list[str]:
    """Targets without information, measured coverage and domain check, and the learning curve."""
    lines = []
    if targets := evidence.alone.no_better_than_mean:
        lines.append(f"- **Not shown to be better than the mean of the training photos: {', '.join(targets)}.**")
    if evidence.measured is not None and (targets := evidence.measured.no_better_than_mean):
        lines.append(f"- **The same with {_beside(config)}: {', '.join(targets)}.**")
    for of in evidence.alone.coverage:
        held = [f"{name} {share:.0%}" for name, share in zip(TARGETS, of.share, strict=True) if share is not None]
        lines.append(f"- Coverage of {of.level:.0%} intervals on held-out groups: {', '.join(held)}.")
    lines += [f"- {sentence}" for sentence in evidence.alone.coverage_in_words(evidence.training)]
    if evidence.measured is not None:
        sentences = evidence.measured.coverage_in_words(evidence.training)
        lines += [f"- With {_beside(config)}: {sentence}" for sentence in sentences]
    if evidence.unmeasured_coverage:
        lines.append(f"- {evidence.unmeasured_coverage}")
    lines.append(
        f"- `in_domain` is False for at most {false_alarms(evidence.training.groups):.0%} of the photos from a new "
        f"place that are similar to the training photos."
    )
    if evidence.learning:
        points = [*((one.photos, one.weighted_r2) for one in evidence.learning)]
        points.append((evidence.alone.score.photos, evidence.alone.score.weighted_r2))
        curve = ", ".join(f"{count} photos {_r2(r2)}" for count, r2 in points)
        lines.append(f"- Weighted R2 by number of training photos: {curve}.")
    return lines


def _calibration(config: ModelConfig, evidence: Evidence) -> list[list[str]]:
    if evidence.alone.calibration is None:
        return []
    lines = evidence.alone.calibration.summary()
    if evidence.measured is not None:
        lines += [f"With {_beside(config)}: {line}" for line in evidence.measured.calibration_in_words()]
    lines.append("The score above is that of the model before calibration.")
    return [["## Calibration with own cuts"], [f"- {line}" for line in lines]]


def _intended_use(training: TrainingRecord | None) -> list[list[str]]:
    if training is None:
        limits = "The training data of the heads is unknown."
    else:
        limits = (
            f"The model only knows the conditions in its {training.photos} training photos. For other seasons, "
            f"species, cameras and heights, compare it with own cuts first. Photos should show a quadrat of "
            f"{training.quadrat_area_m2:g} m2, {training.aspect:.2f} times as wide as high."
        )
    return [
        ["## Intended use and limits"],
        [
            "Estimates of standing pasture from photos that look straight down on a quadrat, by users who can check "
            "some of them with own cuts. Not for insurance, trade or animal welfare decisions without such checks, and "
            "not for photos from the side, from the air, or of other crops."
        ],
        [limits],
        [
            "The backbone's weights, the training photos and their table have owners and licences of their own, which "
            "this file does not list. herbage itself is Apache-2.0."
        ],
    ]


def _usage(config: ModelConfig) -> list[list[str]]:
    return [
        ["## Usage"],
        ["```", "herbage predict MODEL PHOTOS --out DIR" + (" --maps" if config.recipe.has_map else ""), "```"],
        ["The model is valid for photos like those it was trained on; `in_domain` is False where a photo is not."],
    ]


def _r2(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"

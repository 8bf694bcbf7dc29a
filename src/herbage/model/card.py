"""The model's card: its README, in the hub's form."""

from herbage.model.config import ModelConfig, ScoreRecord
from herbage.model.domain import false_alarms
from herbage.targets import TARGETS, known_names, main_target


def write_card(about: ModelConfig) -> str:
    """The card as Markdown with the hub's front matter."""
    recipe = about.recipe
    lines = [
        "---",
        "library_name: herbage",
        "tags: [pasture, biomass, herbage-mass]",
        "---",
        "",
        f"# herbage model, recipe `{recipe.name}`",
        "",
        f"Estimates {', '.join(known_names(about.known))} (dry matter, g a quadrat) in a top-view photo of pasture.",
        "",
        f"- Backbone: `{about.backbone.name}`, frozen, weights sha256 `{about.backbone.digest}`",
        f"- Seen: crops `{recipe.crops}`, {recipe.grid} patches a side, {recipe.views} view(s)"
        + (" averaged" if recipe.average_views else "")
        + f", blur sigma {recipe.blur_sigma}"
        + (", beside each vector the texture's heterogeneity" if recipe.heterogeneity else ""),
        f"- Heads: `{recipe.heads}`, {about.folds} folds; "
        + ("weights balanced so that they add up" if recipe.balance else "weights that need not add up"),
        f"- Origin: {about.source}",
        "",
    ]
    if training := about.training:
        grouped = " and ".join(training.grouped_by) or "nothing: **ungrouped, so the score reads too high**"
        lines += [
            "## Trained on",
            "",
            f"{training.photos} photos in {training.groups} groups, folds grouped by {grouped}; "
            f"quadrats of {training.quadrat_area_m2:g} m2.",
            "",
            *([f"{training.in_words}.", ""] if training.in_words else []),
        ]
    if about.score:
        lines += ["## Score, out of fold", "", *_score_table(about, about.score), ""]
        lines += [*_trust(about), ""]
    else:
        lines += [
            "No out-of-fold estimates came with these heads: intervals, domain and score are unknown. "
            "`herbage score MODEL --table TABLE --photos DIR` scores them on weighed photos.",
            "",
        ]
    lines += [
        "## Meant for, and not for",
        "",
        "Estimates of standing pasture from photos that look straight down on a quadrat, by people who can check some "
        "with own cuts. Not for insurance, trade or animal welfare decisions without such checks, and not for photos "
        "from the side, from the air, or of other crops.",
        "",
        *_limits(about),
        "",
        "The backbone's weights, the training photos and their table have owners and licences of their own, which "
        "this file cannot know: look where they come from. herbage itself is Apache-2.0.",
        "",
        "## Use",
        "",
        "```",
        "herbage predict MODEL PHOTOS --out DIR" + (" --maps" if recipe.has_map else ""),
        "```",
        "",
        "Valid for photos like those it was trained on: `in_domain` in the table says where a photo is not.",
        "",
    ]
    return "\n".join(lines)


def _limits(about: ModelConfig) -> list[str]:
    """What the training photos leave out."""
    if about.training is None:
        return ["What the heads were trained on did not come with them."]
    training = about.training
    return [
        f"It knows what its {training.photos} training photos show: {training.in_words or 'no facts came with them'}. "
        f"Other seasons, species, cameras and heights are a guess until own cuts have been compared. Photos should "
        f"show a quadrat of {training.quadrat_area_m2:g} m2, {training.aspect:.2f} times as wide as high."
    ]


def _trust(about: ModelConfig) -> list[str]:
    """What may be made of a figure: intervals and domain as measured, more photos, own cuts."""
    assert about.training is not None
    lines = ["## How far to trust it", ""]
    for of in about.coverage:
        held = [f"{name} {share:.0%}" for name, share in zip(TARGETS, of.share, strict=True) if share is not None]
        lines.append(f"- {of.level:.0%} intervals held, on groups left out one by one: {', '.join(held)}.")
    if said := about.unmeasured_in_words:
        lines.append(f"- {said}")
    lines.append(
        f"- `in_domain` calls at most {false_alarms(about.training.groups):.0%} of photos of a new place strange "
        f"although they are like the training photos."
    )
    if about.learning and about.score:
        curve = [
            *((one.photos, one.weighted_r2) for one in about.learning),
            (about.score.photos, about.score.weighted_r2),
        ]
        said = ", ".join(f"{count} photos {'n/a' if r2 is None else f'{r2:.3f}'}" for count, r2 in curve)
        lines.append(f"- Weighted R2 as the heads learn from more photos: {said}.")
    if about.calibration:
        lines += ["", "## Corrected by own cuts", "", *(f"- {said}" for said in about.calibration.said())]
        lines += ["- The score above is of the model before the cuts."]
    return lines


def _score_table(about: ModelConfig, score: ScoreRecord) -> list[str]:
    rows, main = [(about.recipe.name, score), *about.floors.items()], TARGETS[main_target(about.known)]
    table = [f"| | weighted R2 | RMSE {main} | bias {main} |", "|---|---|---|---|"]
    for label, record in rows:
        r2 = "n/a" if record.weighted_r2 is None else f"{record.weighted_r2:.3f}"
        table.append(f"| {label} | {r2} | {record.targets[main].rmse_g:.2f} | {record.targets[main].bias_g:+.2f} |")
    return table

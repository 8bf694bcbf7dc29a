"""The model's card: its README, in the hub's form."""

from herbage.model.config import ModelConfig, ScoreRecord


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
        "Estimates clover, dead, green, total and green dry matter (g a quadrat) in a top-view photo of pasture.",
        "",
        f"- Backbone: `{about.backbone.name}`, frozen, weights sha256 `{about.backbone.digest}`",
        f"- Seen: crops `{recipe.crops}`, {recipe.grid} patches a side, {recipe.views} view(s)"
        + (" averaged" if recipe.average_views else "")
        + f", blur sigma {recipe.blur_sigma}"
        + (", beside each vector the texture's heterogeneity" if recipe.heterogeneity else ""),
        f"- Heads: `{recipe.heads}`, {about.folds} folds; "
        + ("weights balanced so that they add up" if recipe.balance else "five weights that need not add up"),
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
        ]
    if about.score:
        lines += ["## Score, out of fold", "", *_score_table(about.recipe.name, about.score, about.floors), ""]
    else:
        lines += [
            "No out-of-fold estimates came with these heads: intervals, domain and score are unknown. "
            "`herbage score MODEL --table TABLE --photos DIR` scores them on weighed photos.",
            "",
        ]
    lines += [
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


def _score_table(name: str, score: ScoreRecord, floors: dict[str, ScoreRecord]) -> list[str]:
    rows = [(name, score), *floors.items()]
    table = ["| | weighted R2 | RMSE Total (g) | bias Total (g) |", "|---|---|---|---|"]
    for label, record in rows:
        total = record.targets["Dry_Total_g"]
        r2 = "n/a" if record.weighted_r2 is None else f"{record.weighted_r2:.3f}"
        table.append(f"| {label} | {r2} | {total.rmse_g:.2f} | {total.bias_g:+.2f} |")
    return table

"""The blocks of the README and of the pages on accuracy and trust, made of the JSON of these benchmarks."""

from textwrap import fill
from typing import Any

import numpy as np

from benchmarks.markdown import Results, percent, table
from herbage.targets import QUADRAT_AREA_M2, TARGETS, kg_per_ha

SHORT = {target: target.removeprefix("Dry_").removesuffix("_g") for target in TARGETS}
WIDTH = 130
"""Characters in a line of a page."""

PHOTO, MEAN = "", "mean_"
"""Prefixes of the figures of a photo, and of the mean of all photos of a group."""

WHAT = {
    "field": "the default: both halves at 518 pixels, a linear head applied to every patch, estimates that add up",
    "seed": 'the public notebook "DINOv2 Dense Features": six views of 224 pixels, a small network per patch, SAM',
    "crosspvt": "the public notebook CrossPVT_T2T_MambaDINO: 40 tiles in three views, a small transformer",
}


def named(line: dict[str, Any]) -> str:
    """`field` with Height_Ave_cm: the recipe as code."""
    recipe, *measured = line["name"].split(" ", 1)
    return " ".join([f"`{recipe}`", *measured])


def gain(line: dict[str, Any]) -> str:
    """The difference to the recipe `field` with its interval."""
    return "{:+.3f} ({:+.3f} to {:+.3f})".format(*line["less_field"]) if "less_field" in line else ""


def r2_by_target(line: dict[str, Any]) -> list[str]:
    """R2 of each target."""
    return [f"{line['r2'][target]:.2f}" for target in TARGETS]


R2_HEAD = " | ".join(f"R² {name}" for name in SHORT.values())


def scores(results: Results) -> str:
    """The README's table, best first."""
    (result,) = results
    rows = [[named(line), WHAT.get(line["name"], "the photo and measured values"), line] for line in result["recipes"]]
    rows += [["baseline", line["name"], line] for line in result["baselines"]]
    rows.sort(key=lambda row: -row[2]["weighted_r2"])
    cells = [[name, what, f"{line['weighted_r2']:.2f}", gain(line)] for name, what, line in rows]
    return table("recipe | what it is | score | difference to `field` (95 % interval)", cells)


def accuracy(results: Results) -> str:
    """Scores of delivered models and baselines, and differences to the first recipe."""
    (result,) = results
    rows = []
    for line in result["recipes"] + result["baselines"]:
        name, single = f"baseline: {line['name']}", ""
        if "single_head" in line:
            name, single = named(line), f"{line['single_head']:.3f}"
        score = [f"{line['weighted_r2']:.3f}", f"{line['sd']:.3f}", gain(line), single]
        rows.append([name, *score, *r2_by_target(line)])
    counts = f"{result['photos']} photos in {result['groups']} groups, {result['assignments']} assignments to folds:"
    head = f"delivered model | weighted R² | sd | difference to `field` (95 %) | single heads | {R2_HEAD}"
    return f"{counts}\n\n{table(head, rows)}\n\n{not_shown(result)}"


def not_shown(result: dict[str, Any]) -> str:
    """The targets whose estimates are not shown to be better than the mean."""
    lines = []
    for line in result["recipes"]:
        counts = [f"{SHORT[target]} ({count})" for target, count in line["no_better_than_mean"].items()]
        lines.append(f"{named(line)} {', '.join(counts) or 'none'}")
    start = f"Targets not shown to be better than the mean, and in how many of {result['assignments']} assignments:"
    return fill(f"{start} {'; '.join(lines)}.", WIDTH)


def ablations(results: Results) -> str:
    """What each choice of the recipe `field` changes."""
    (result,) = results
    rows = [[line["name"], f"{line['weighted_r2']:.3f}", gain(line)] for line in result["ablations"]]
    return table("`field`, but | weighted R² | difference to `field` (95 %)", rows)


def learning(results: Results) -> str:
    """The score by number of training photos."""
    (result,) = results
    points = [*result["learning_curve"], [result["photos"], result["recipes"][0]["single_head"]]]
    head = " | ".join(["photos in the table", *(f"{count:.0f}" for count, _ in points)])
    return table(head, [["weighted R² of single heads", *(f"{score:.3f}" for _, score in points)]])


def crosspvt(results: Results) -> str:
    """The recipes without measured columns."""
    (result,) = results
    lines = [line for line in result["recipes"] if line["name"] in WHAT]
    rows = [[named(line), f"{line['weighted_r2']:.3f}", gain(line), *r2_by_target(line)] for line in lines]
    return table(f"recipe | weighted R² | difference to `field` (95 %) | {R2_HEAD}", rows)


def kg(grams: float) -> str:
    """Grams per quadrat of the competition as kg DM/ha, rounded to 10."""
    return f"{kg_per_ha(np.array([grams]), QUADRAT_AREA_M2).round(-1)[0]:,.0f}"


def widths(results: Results) -> str:
    """The README's sentences on the intervals of the default recipe."""
    field = results[0]["intervals"][0]
    low, high = field["levels"]

    def within(level: dict[str, Any], of: str) -> str:
        return f"± {kg(level[f'{of}half_width_g']['Dry_Total_g'])}"

    weighed = kg(field["weighed_g"]["Dry_Total_g"])
    held = [percent(high[f"{of}coverage"]["Dry_Total_g"]) for of in (PHOTO, MEAN)]
    text = (
        f"How far off can a figure be? The swards here weighed {weighed} kg DM/ha on average. The 90 % interval of the "
        f"total was {within(high, PHOTO)} kg DM/ha for one photo (80 %: {within(low, PHOTO)}), and "
        f"{within(high, MEAN)} for the mean of all photos of a place and day (80 %: {within(low, MEAN)}). "
        f"On held-out places, {held[0]} of the photos and {held[1]} of these means were inside their 90 % interval."
    )
    return fill(text, WIDTH)


def intervals(results: Results) -> str:
    """Coverage and half widths of the total and of green dry matter."""
    (result,) = results
    rows = []
    for line in result["intervals"]:
        for level in line["levels"]:
            cells = [
                f"± {kg(level[f'{of}half_width_g'][target])}, {percent(level[f'{of}coverage'][target])}"
                for of in (PHOTO, MEAN)
                for target in ("Dry_Total_g", "GDM_g")
            ]
            rows.append([named(line), percent(level["level"]), *cells, span(level["coverage"])])
    total, gdm = (kg(result["intervals"][0]["weighed_g"][target]) for target in ("Dry_Total_g", "GDM_g"))
    head = "model | level | total of a photo | GDM of a photo | mean total | mean GDM | photos, by target"
    counts = f"{result['photos']} photos in {result['groups']} groups, {result['assignments']} assignments to folds"
    means = f"The mean total was {total} and the mean GDM {gdm} kg DM/ha."
    cells = "Each cell has half the mean width in kg DM/ha, and how many weights were inside:"
    return f"{counts}. {means}\n{cells}\n\n{table(head, rows)}"


def span(shares: dict[str, float]) -> str:
    """The smallest and the largest share."""
    return f"{percent(min(shares.values()))} to {percent(max(shares.values()))}"


def too_wide(results: Results) -> str:
    """How much larger out-of-fold errors are than those of the delivered model."""
    line = results[0]["intervals"][0]
    ratio = ", ".join(f"{line['error_ratio'][target]:.2f} ({name})" for target, name in SHORT.items())
    text = (
        f"With `field`, out-of-fold errors were {ratio} times as large as the errors of the delivered head, and 90 % "
        f"intervals of photos contained {span(line['levels'][1]['coverage'])} of the weights, by target."
    )
    return fill(text, WIDTH)


def domain(results: Results) -> str:
    """False alarms, and pictures without pasture that were caught."""
    one = results[0]["domain"]
    return (
        f"Of {one['pictures']} pictures without pasture, {percent(one['caught'])} were flagged, and of the photos of "
        f"held-out groups {percent(one['false_alarms'])}."
    )


def own_cuts(results: Results) -> str:
    """What own cuts change in a State that was left out."""
    ways = ("before", "after", "after_total_alone")
    rows = [
        [line["state"], line["cuts"], *(f"{line[of]:.2f}" for of in ways), f"{line['smallest_gain']:+.2f}"]
        + [kg(line[f"bias_{of}_g"]) for of in ways]
        for line in results[0]["cuts"]
    ]
    head = "State | cuts | R² before | after | total alone | smallest gain | bias before, kg/ha | after | total alone"
    return table(head, rows)

"""Write the measured figures of docs/data into the pages of docs/ and the README.

python -m benchmarks pages [README accuracy crosspvt trust explanation/intervals explanation/patches performance
                            reliability scale]

A page is written by hand, except what is between `<!-- begin NAME -->` and `<!-- end NAME -->`: that is made here from
JSON. Without arguments, all pages are written. A block whose JSON is missing has no figures, and says so.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import fill as wrapped

from benchmarks.accuracy_blocks import (
    WIDTH,
    ablations,
    accuracy,
    crosspvt,
    domain,
    intervals,
    learning,
    own_cuts,
    scores,
    too_wide,
    widths,
)
from benchmarks.harness import DATA
from benchmarks.markdown import Results, lines_of, percent, table
from herbage.backbones.views import CROPS, patches_per_photo
from herbage.formatting import counted
from herbage.recipe import Recipe, load_recipe
from herbage.tokens.layout import tokens_shape

PEAK_TFLOPS = 989
"""An H100 SXM in bf16 without sparsity, as NVIDIA states it."""

SEED, FIELD = (f"vits, one photo from JPEG, {work}" for work in ("seed, six views", "field, one view"))
HEADS = "25 heads, 4 epochs", "bfloat16"
"""Work as the benchmarks `extract` and `training` name it."""

SHARE = 0.4
"""Share of the peak that a ViT-giant may reach: assumed, not measured."""


# docs/trust.md


def cuts(results: Results) -> str:
    """How often an outlying cut is named, in plain calibrations and where one weight is wrong."""
    faults = ("plain", "times_ten", "a_tenth", "exchanged")
    rows = [
        [f"{line['photos']} photos, R² {line['r2']:.2f}, RMSE {line['rmse_g']:.1f} g", line["cuts"]]
        + [f"{100 * line[fault]:.1f} %" if fault == "plain" else percent(line[fault]) for fault in faults]
        for line in lines_of(results)
    ]
    return table("model, main target | cuts | plain cuts | ten times | a tenth | exchanged", rows)


# docs/explanation/patches.md


def maps(results: Results) -> str:
    """What the maps show, without and with what corrects them, by views in prediction."""
    (result,) = results
    measures: dict[str, tuple[str, Callable[[float], str]]] = {
        "place_share": ("variance explained by the place in the frame", percent),
        "step": ("step at the join, relative to other steps", "{:.2f}".format),
        "step_of_column_means": ("the same for the means of columns", "{:.2f}".format),
        "windows": ("agreement of overlapping windows", "{:.2f}".format),
        "windows_pooled": ("the same over all photos together", "{:.2f}".format),
        "across_join": ("agreement with the window across the join", "{:.2f}".format),
    }
    columns = [f"{counted(line['views'], 'view')}, {line['maps']}" for line in result["lines"]]
    rows = [[name, *(show(line[key]) for line in result["lines"])] for key, (name, show) in measures.items()]
    folds = len(result["lines"][0]["folds"])
    photos = f"{result['photos']} photos in {result['groups']} groups, total dry weight, mean of {folds} folds:"
    return f"{photos}\n\n" + table(" | ".join(["measure", *columns]), rows)


# README.md


def speed(results: Results) -> str:
    """How much faster than the notebook herbage is, and what `field` takes."""
    ratios = {(line["work"], line["precision"]): line["ratio"] for line in lines_of(results)}
    seed, field = ([ratios[work, precision] for precision in ("bf16", "int8")] for work in (SEED, FIELD))
    recipes = [load_recipe(name).in_prediction() for name in ("field", "seed")]
    field_px, seed_px = (one.views * CROPS[one.crops] * one.grid**2 for one in recipes)
    text = (
        f"On a CPU, herbage extracts the features of `seed` {seed[0]:.1f} times as fast in bf16, and {seed[1]:.1f} "
        f"times as fast in int8, as the notebook's own loops in float32; it trains the heads {ratios[HEADS]:.1f} times "
        f"as fast. `field` gives the backbone {field_px / seed_px:.1f} times as many pixels; it takes "
        f"{1 / field[0]:.2f} of the time of these loops in bf16 and {1 / field[1]:.2f} in int8."
    )
    return wrapped(text, WIDTH)


# docs/performance.md


def notebook(results: Results) -> str:
    """Every benchmark that compares with the notebook."""
    rows = [
        [line["work"], line["precision"], f"{line['ours_s']:.3g} s", f"{line['notebook_s']:.3g} s",
         f"{line['ratio']:.2f} ({line['low']:.2f} to {line['high']:.2f})", percent(line['ceiling_share'])]
        for line in lines_of(results)
    ]  # fmt: skip
    apart = max(line.get("largest_difference", 0.0) for line in lines_of(results))
    note = (
        f"Heads that multiply in bf16 differ from the notebook's by at most {100 * apart:.1f} % of the mean estimate."
    )
    return table("work | precision | herbage | notebook | times faster | share of the limit", rows) + f"\n\n{note}"


def parts(results: Results) -> str:
    """Where the time goes, and attention compared with torch's own."""
    rows = [
        [line["work"], f"{1000 * line['ours_s']:.1f}", f"{1000 * line['torch_s']:.1f}" if "torch_s" in line else ""]
        for line in lines_of(results)
    ]
    return table("part | ms | torch's own attention, ms", rows)


def startup(results: Results) -> str:
    """Seconds of short commands, and of every command until its first line."""
    rows = [
        [
            f"`{line['work']}`" + (f", {line['until']}" if "until" in line else ""),
            f"{line['ours_s']:.2f}",
            line["bar_s"],
        ]
        for line in lines_of(results)
    ]
    return table("command | seconds | limit", rows)


def memory(results: Results) -> str:
    """Peak memory of processes."""
    rows = [
        [line["work"], *(f"{line[key]:.2f} GB" for key in ("peak_gb", "beyond_weights_gb")), f"{line['bar_gb']} GB"]
        for line in lines_of(results)
    ]
    return table("work | peak | beyond the weights | limit", rows)


def serving(results: Results) -> str:
    """The server under load."""
    rows = [
        [line["work"], f"{line['photos_per_s']:.2f}", f"{line['predict_photos_per_s']:.2f}", f"{line['p50_s']:.0f} s",
         f"{line['p99_s']:.0f} s", f"{line['healthz_p99_s']:.2f} s", line["accepted"], line["refused"], line["others"],
         ", ".join(f"{line['memory_gb'][when]:.2f}" for when in ("before", "first_half", "second_half"))]
        for line in lines_of(results)
    ]  # fmt: skip
    head = "model | photos per second | by `predict` | p50 | p99 | `/healthz` p99 | answered | refused | other"
    return table(f"{head} | memory, GB: before, 1st half, 2nd half", rows)


# docs/reliability.md


def kills(results: Results) -> str:
    """What became of killed commands."""
    (result,) = results
    counted = ("kills", "token_files_reused", "networks_reused", "rows_reused", "temporary_files_left")
    rows = [
        [name, f"{one['unbroken_s']:.1f} s", *(one.get(key, 0) for key in counted)]
        for name, one in result["commands"].items()
    ]
    head = "command | duration | kills | token files reused | networks reused | rows reused | temporary files left"
    return f"{result['kills']} kills, faults found: {len(result['faults'])}.\n\n" + table(head, rows)


def farm_kills(results: Results) -> str:
    """Where runs that add to a farm file were killed."""
    (result,) = results
    moments = ("in_start", "before_farm", "in_journal", "in_file", "after_farm")
    rows = [
        [name, f"{one['unbroken_s']:.1f} s", one["kills"], *(one.get(f"killed_{when}", 0) for when in moments)]
        for name, one in result["commands"].items()
    ]
    head = "`predict --farm` | duration | kills | before the table was complete | before the transaction"
    head += " | in the transaction | while it was written to the file | after it"
    return f"{result['kills']} kills, faults found: {len(result['faults'])}.\n\n" + table(head, rows)


def fuzz(results: Results) -> str:
    """What became of damaged photos."""
    (result,) = results
    return (
        f"Of {result['cases']:,} damaged photos, {result['pixels']:,} gave pixels, {result['unreadable']:,} gave one "
        f"message, {result['skipped']:,} were skipped because of their size, and {result['faults']:,} gave anything "
        f"else.\nThe slowest took {result['slowest_s']:.2f} s."
    )


# docs/scale.md


def scale(results: Results) -> str:
    """Seconds of each step by number of photos."""
    steps = ("listing", "missing", "storing", "merging", "resuming_merged", "resuming", "rows", "rows_resumed")
    rows = [
        [f"{line['photos']:,}", *(f"{line[step]:.3g}" for step in steps), f"{line['peak_gb']:.2f} GB"]
        for line in lines_of(results)
    ]
    head = "photos | listing | missing | storing | merging | resuming, merged | resuming | rows | rows, resumed"
    return table(f"{head} | peak memory", rows)


def many(results: Results) -> str:
    """Photos per second and memory."""
    rows = [
        [line["work"], f"{line['photos']:,}", f"{line['seconds']:.0f}", f"{line['photos'] / line['seconds']:.1f}"]
        + [f"{line[when]:.2f} GB" for when in ("early_gb", "late_gb", "most_gb")]
        for line in lines_of(results)
    ]
    return table("work | photos | seconds | photos/s | memory early | at the end | at most", rows)


def farm(results: Results) -> str:
    """Seconds and memory of a walk that is added to a large farm, and of its report."""
    (result,) = results
    of = result["farm"]
    rows = [
        [line["work"], f"{line['seconds']:.1f} s", line["bar_s"], f"{line['peak_gb']:.2f} GB", line["bar_gb"]]
        for line in result["lines"]
    ]
    size = f"{of['paddocks']} paddocks, {of['walks']} walks, {of['photos']:,} photos: a file of {of['file_mb']:.0f} MB."
    return f"{size}\n\n" + table("work | duration | limit, s | peak memory | limit, GB", rows)


def browser(results: Results) -> str:
    """Seconds, memory and size of the static site, next to `predict`."""
    rows = [
        [f"{line['work']}, {line['precision']}", line["threads"]]
        + [f"{line[of]:.1f} s" for of in ("first_s", "photo_s", "predict_s", "large_s")]
        + [f"{line['large_peak_gb']:.2f} GB", f"{line['site_mb']:.0f} MB"]
        for line in lines_of(results)
    ]
    timings = "first photo | next photos | `predict`, fp32 | first photo of 12 megapixels"
    return table(f"backbone | threads | {timings} | peak memory | site", rows)


def cost(results: Results) -> str:
    """Hours and prices of a million photos in prediction on H100s, from the work of the giant and assumptions."""
    (parts_of_photo,) = results
    decoding_s = parts_of_photo["lines"][0]["ours_s"]
    recipes = {name: load_recipe(name).in_prediction() for name in ("seed", "field")}
    work = {name: petaflops(recipe) for name, recipe in recipes.items()}
    rates = {name: min(SHARE * PEAK_TFLOPS / 1000 / work[name], 16 / decoding_s) for name in recipes}
    rows = []
    for machines, usd_per_hour, count in (("one H100, 16 cores", 3, 1), ("eight H100, 128 cores", 24, 8)):
        row: list[object] = [machines, usd_per_hour]
        for name in recipes:
            rate = count * rates[name]
            hours = 1e6 / rate / 3600
            row += [f"{rate:.3g}", f"{hours:.3g}", f"{hours * usd_per_hour:.0f}"]
        rows.append(row)
    disk = {name: token_mb(recipe) for name, recipe in recipes.items()}
    text = (
        f"With the giant, one photo takes {1000 * work['seed']:.1f} teraflop in the recipe `seed` and "
        f"{1000 * work['field']:.1f} in `field` (two per weight and token, plus attention). It is **assumed** that an "
        f"H100 reaches {percent(SHARE)} of {PEAK_TFLOPS} Tflop/s and has 16 cores to decode, and so are the prices. "
        f"Only the time to decode a photo was measured: {1000 * decoding_s:.0f} ms on one core."
    )
    head = "machines | USD per hour | `seed`: photos/s | hours | USD | `field`: photos/s | hours | USD"
    size = f"Tokens of a million photos take {disk['seed']:.1f} TB (`seed`) or {disk['field']:.1f} TB (`field`)."
    return f"{wrapped(text, WIDTH)}\n\n{table(head, rows)}\n\n{size}"


def petaflops(recipe: Recipe) -> float:
    """Work of the giant for one photo: two per weight and token, and attention (40 layers, width 1536)."""
    images = recipe.views * CROPS[recipe.crops]
    tokens = patches_per_photo(recipe) / images + 1
    return images * tokens * (2 * 1.136e9 + 40 * 4 * tokens * 1536) / 1e15


def token_mb(recipe: Recipe) -> float:
    """Megabytes of one photo's tokens from the giant, in float16."""
    views, patches, width = tokens_shape(recipe, 1536)
    return views * patches * width * 2 / 1e6


PAGES: dict[str, dict[Callable[[Results], str], tuple[str, ...]]] = {
    "README": {
        scores: ("accuracy",),
        widths: ("trust",),
        speed: ("extract-vits-bf16", "extract-vits-int8", "training"),
    },
    "accuracy": {accuracy: ("accuracy",), ablations: ("accuracy",), learning: ("accuracy",)},
    "crosspvt": {crosspvt: ("accuracy",)},
    "trust": {intervals: ("trust",), domain: ("trust",), own_cuts: ("trust",), cuts: ("cuts",)},
    "explanation/intervals": {too_wide: ("trust",)},
    "explanation/patches": {maps: ("maps",)},
    "performance": {
        notebook: ("extract-*", "heads", "training", "predict"),
        parts: ("parts",),
        startup: ("startup",),
        memory: ("memory",),
        serving: ("serving-*",),
        browser: ("browser",),
    },
    "reliability": {kills: ("kills",), farm_kills: ("kills-farm",), fuzz: ("fuzz",)},
    "scale": {scale: ("scale",), many: ("many",), farm: ("farm",), cost: ("parts",)},
}
"""The blocks of each page, and the JSON files that each is made from (`*` for any ending)."""

NOT_MEASURED = "*Not measured with this version: docs/data has no result of {}.*"
"""The text of a block whose JSON is missing."""

WITHOUT_SOURCE = ("README", "explanation/intervals")
"""Pages that link to one which states when, where and by which command the figures were measured."""


def source(results: Results) -> str:
    """When, where and by which command the figures were measured."""
    machine, days = results[0]["machine"], " and ".join(sorted({result["date"] for result in results}))
    commands = ", ".join(dict.fromkeys(f"`{result['command']}`" for result in results))
    on = f"{machine['model']}, {machine['processor']}, {machine['memory']}, torch {machine['torch']}"
    return f"*Measured on {days} by {commands} on {on}.*"


def fill(name: str, docs: Path, data: Path) -> list[str]:
    """Write the blocks of a page; returns the missing JSON files, whose blocks have no figures."""
    page = (docs.parent if name == "README" else docs) / f"{name}.md"
    text, missing = page.read_text("utf-8"), []
    for make, names in PAGES[name].items():
        files = {one: sorted(data.glob(f"{one}.json")) for one in names}
        results = [json.loads(file.read_text("utf-8")) for found in files.values() for file in found]
        block = rf"(<!-- begin {make.__name__} -->\n).*(\n<!-- end {make.__name__} -->)"
        if lacking := [one for one, found in files.items() if not found]:
            missing += [f"{one}.json" for one in lacking]
            made = NOT_MEASURED.format(" and ".join(f"`python -m benchmarks {one.split('-')[0]}`" for one in lacking))
        else:
            made = "\n\n".join([make(results), *([] if name in WITHOUT_SOURCE else [source(results)])])
        text, count = re.subn(block, lambda found, made=made: f"{found[1]}\n{made}\n{found[2]}", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"{page} has {count} blocks named {make.__name__}, not one")
    page.write_text(text, "utf-8")
    return missing


def main() -> int:
    """Write the pages, and report JSON that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="*", metavar="PAGE", help=f"{', '.join(PAGES)} (default: all)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the JSON results (default: docs/data)")
    parser.add_argument("--docs", type=Path, default=DATA.parent, help="folder of the pages (default: docs)")
    options = parser.parse_args()
    if unknown := set(options.page) - set(PAGES):
        parser.error(f"no page named {', '.join(sorted(unknown))}; there are {', '.join(PAGES)}")
    for name in options.page or PAGES:
        missing = fill(name, options.docs, options.data)
        print(name)
        if missing:
            print(f"{name}: {options.data} lacks {', '.join(missing)}; their blocks have no figures", file=sys.stderr)
    return 0

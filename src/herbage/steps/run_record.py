"""run.json: inputs, versions, machine and duration of a run; the only file that differs between equal runs."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import herbage
from herbage.backbones.backbone import Backbone
from herbage.environment import LIBRARIES, installed_version, memory_size
from herbage.hub import pinned
from herbage.model.model import HerbageModel
from herbage.recipe import Recipe
from herbage.remarks import Remark


def run_record(
    command: str,
    started: float,
    *,
    backbone: Backbone | None = None,
    model: HerbageModel | None = None,
    used: Sequence[tuple[str, HerbageModel, Backbone]] = (),
    recipe: Recipe | None = None,
    tables: dict[str, Any] | None = None,
    remarks: Iterable[Remark] = (),
    **about: Any,
) -> str:
    """The text of run.json.

    `tables` are files or data frames by parameter name, recorded with their sha256; those that are None are left out.
    The digests of the model and the backbone are recorded; `used` are several models, each with its name and backbone.
    `remarks` are about the inputs; `about` holds further options and results of the command.
    """
    record: dict[str, Any] = {"command": command, **about}
    if len(used) == 1:
        [(_, model, backbone)] = used
    elif used:
        record["models"] = [
            {"name": name, "model_sha256": one.digest, "backbone": _backbone_record(own)} for name, one, own in used
        ]
    if model is not None:
        record["model_sha256"] = model.digest
    if recipe is not None:
        record["recipe"] = recipe.model_dump(mode="json")
    if backbone is not None:
        record["backbone"] = _backbone_record(backbone)
    for name, table in (tables or {}).items():
        if table is None:
            continue
        source = "a table in memory" if isinstance(table, pd.DataFrame) else str(table)
        record[name] = {"name": source, "sha256": table_sha256(table)}
    record["remarks"] = [remark.record() for remark in remarks]
    record |= {
        "versions": {"herbage": herbage.__version__, **{name: installed_version(name) for name in LIBRARIES}},
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, memory {memory_size()}",
        "threads": torch.get_num_threads(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(max(0.0, time.time() - started), 2),  # the clock may have been set back
    }
    return json.dumps(record, indent=2) + "\n"


def _backbone_record(backbone: Backbone) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "hub_revision": pinned(backbone.name)[1],
        "weights_sha256": backbone.digest,
        **backbone.engine.record(),
    }


def run_place(result: Path) -> Path:
    """The path of the record of a single result file, next to it."""
    return result.with_name(f"{result.stem}.run.json")


def table_sha256(table: str | Path | pd.DataFrame) -> str:
    """The sha256 of a table's file, or of a table in memory as CSV."""
    content = (
        table.to_csv(index=False, lineterminator="\n").encode()
        if isinstance(table, pd.DataFrame)
        else Path(table).read_bytes()
    )
    return sha256(content).hexdigest()


def _git_commit() -> str | None:
    """The commit of this code if it runs from a git checkout, with `-dirty` if files were changed."""
    here = Path(__file__)
    try:
        for arguments in (
            ["ls-files", "--error-unmatch", here.name],
            ["describe", "--always", "--dirty", "--abbrev=40"],
        ):
            result = subprocess.run(["git", "-C", here.parent, *arguments], capture_output=True, timeout=20, check=True)
        return result.stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return None

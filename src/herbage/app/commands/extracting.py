"""The command that fills a token store."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from herbage.app.options import BackboneArguments, OnCluster, Photos, Quiet, Recipe, Shard, Views, WorkerCpus
from herbage.app.terminal import begin, print_failures, tracker
from herbage.formatting import counted


def extract(
    photos: Photos,
    *,
    store: Path,
    recipe: Recipe = "field",
    shard: Shard = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    views: Views = None,
    status: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(negative="")] = False,
    engine: BackboneArguments = BackboneArguments(),
    quiet: Quiet = False,
) -> int:
    """Fill a token store; a second run extracts only what is missing.

    For example:
        herbage extract photos/ --store tokens/ --recipe seed
        herbage extract photos/ --store tokens/ --shard 3/16
        herbage extract photos/ --store tokens/ --cluster auto
        herbage extract photos/ --store tokens/ --status

    Parameters
    ----------
    store
        The folder of the tokens.
    shard
        i/n: every n-th photo only, so that n processes or machines share the work; i is counted from 0 or from 1.
    views
        The number of views, by default those that training needs; prediction needs fewer, the first of them.
    status
        Print how many photos are done, missing, or failed in the last attempt, and extract nothing.
    verify
        Read and check every stored token file; without it, damage is found when the tokens are used.
    """
    begin(quiet, photos)
    from herbage import steps

    if status:
        progress = steps.extraction_status(
            photos, store=store, recipe=recipe, shard=shard, views=views, **engine.options()
        )
        print(
            f"{counted(progress.present, 'photo')} in the store, {progress.missing} missing, "
            f"{len(progress.failed)} failed"
        )
        print_failures(progress.failed)
        return 0
    summary = steps.extract(
        photos,
        store=store,
        recipe=recipe,
        shard=shard,
        cluster=cluster,
        worker_cpus=worker_cpus,
        views=views,
        verify=verify,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"{counted(summary.made, 'photo')} extracted, {summary.present} in the store, {len(summary.failed)} failed")
    return print_failures(summary.failed)

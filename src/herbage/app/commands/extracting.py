"""The command that fills a token store."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from herbage.app.options import Engine, OnCluster, Photos, Quiet, WorkerCpus
from herbage.app.terminal import failures, listen, tracker
from herbage.formatting import counted


def extract(
    photos: Photos,
    *,
    store: Path,
    recipe: str = "field",
    shard: str | None = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    status: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(negative="")] = False,
    engine: Engine = Engine(),
    quiet: Quiet = False,
) -> int:
    """Fill a token store; run again, it does only what is missing.

    For example:
        herbage extract photos/ --store tokens/ --recipe seed
        herbage extract photos/ --store tokens/ --shard 3/16
        herbage extract photos/ --store tokens/ --cluster auto
        herbage extract photos/ --store tokens/ --status

    Parameters
    ----------
    store
        The folder that keeps the tokens.
    recipe
        seed, field, crosspvt, or a TOML file.
    shard
        i/n: only every n-th photo, so that n processes or machines share the work. Counting i from 0 or 1 both work.
    status
        Only say how many photos are done, how many are missing, and which failed when they were last tried.
    verify
        Read and check every token file that is there; without, damage is noticed when the tokens are used.
    """
    from herbage import steps

    listen(quiet)
    if status:
        so_far = steps.extraction_status(photos, store=store, recipe=recipe, shard=shard, **engine.options())
        print(f"{counted(so_far.present, 'photo')} in the store, {so_far.missing} missing, {len(so_far.failed)} failed")
        failures(so_far.failed)
        return 0
    done = steps.extract(
        photos,
        store=store,
        recipe=recipe,
        shard=shard,
        cluster=cluster,
        worker_cpus=worker_cpus,
        verify=verify,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"{counted(done.made, 'photo')} extracted, {done.present} in the store, {len(done.failed)} failed")
    return failures(done.failed)

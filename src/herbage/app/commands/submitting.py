"""The command that writes the competition's file."""

from pathlib import Path

from herbage.app.options import Engine, Model, Overwrite, Quiet, Store, TablePhotos
from herbage.app.terminal import failures, listen, tracker
from herbage.formatting import counted


def submit(
    model: Model,
    test_csv: Path,
    *,
    photos: TablePhotos,
    out: Path,
    store: Store = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the competition's submission.csv.

    For example:
        herbage submit model/ test.csv --photos test/ --out submission.csv

    Parameters
    ----------
    test_csv
        sample_id, image_path, target_name.
    out
        The file to write.
    """
    from herbage import steps

    listen(quiet)
    failed = steps.submit(
        model,
        test_csv,
        photos=photos,
        out=out,
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"Wrote {out}" + (f"; {counted(len(failed), 'unreadable photo')} given the mean" if failed else ""))
    return failures(failed)

"""The command that writes the competition's file."""

from pathlib import Path

from herbage.app.options import (
    BackboneArguments,
    MeasuredTable,
    Models,
    Overwrite,
    Quiet,
    Store,
    Table,
    TableArguments,
    TablePhotos,
)
from herbage.app.terminal import begin, print_failures, tracker
from herbage.formatting import counted
from herbage.outputs import check_output_file


def submit(
    models: Models,
    test_csv: Table,
    /,
    *,
    photos: TablePhotos,
    out: Path,
    table: MeasuredTable = None,
    how: TableArguments = TableArguments(),
    store: Store = None,
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the competition's submission.csv.

    For several models, it has the mean of their estimates.

    For example:
        herbage submit model/ test.csv --photos test/ --out submission.csv
        herbage submit model-a/ model-b/ test.csv --photos test/ --out submission.csv

    Parameters
    ----------
    models
        Model folders or hub ids.
    test_csv
        A table of sample_id, image_path and target_name; it comes last, after the models.
    out
        The file to write.
    """
    check_output_file(out, overwrite=overwrite)
    begin(quiet, *models, test_csv)
    from herbage import steps

    failed = steps.submit(
        models,
        test_csv,
        photos=photos,
        out=out,
        table=table,
        **how.options(),
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"Wrote {out}" + (f"; {counted(len(failed), 'unreadable photo')} got the mean" if failed else ""))
    return print_failures(failed)

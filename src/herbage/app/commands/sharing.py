"""Commands that hand a model on: export to other engines, serve to people and programs."""

import os
import signal
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from herbage.app.options import Engine, Model, Overwrite, Quiet
from herbage.app.terminal import console, listen


def export(
    model: Path,
    *,
    out: Path,
    as_format: Annotated[Literal["openvino", "onnx"], Parameter(name="--format")] = "openvino",
    precision: Literal["fp32", "bf16", "int8"] | None = None,
    photos: Path | None = None,
    store: Path | None = None,
    backbone: str | None = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the model for another engine.

    openvino: its backbone, whose folder then serves as --backbone everywhere. onnx: all of it in one file, from a
    photo's pixels to grams and map, for programs in any language.

    For example:
        herbage export model/ --out dinov2-int8/ --precision int8 --photos photos/
        herbage predict model/ new_photos/ --out results/ --backbone dinov2-int8/
        herbage export model/ --out estimator/ --format onnx --photos photos/

    Parameters
    ----------
    out
        The folder to write.
    as_format
        openvino (the backbone, for processors) or onnx (the whole estimator).
    precision
        What openvino computes in, by default bf16; int8 is the fastest and is calibrated on --photos. onnx is fp32.
    photos
        Photos to calibrate int8 on, and to say how far tokens, estimates and score are from the model's own.
    store
        A token store that may hold the model's own tokens of these photos; what it lacks is put into it.
    backbone
        Where the model's backbone stands, if not where the model remembers it.
    """
    from herbage import steps

    listen(quiet)
    found = steps.export(
        model,
        out=out,
        as_format=as_format,
        precision=precision,
        photos=photos,
        store=store,
        backbone=backbone,
        overwrite=overwrite,
    )
    if found is not None:
        print(found)
    print(f"{'Backbone' if as_format == 'openvino' else 'Estimator'}: {out}")
    return 0


def serve(
    model: Model,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    engine: Engine = Engine(),
    quiet: Quiet = False,
) -> int:
    """Open the page: drop photos or take them with a phone, and see their estimates and maps.

    Other programs ask it at /api/predictions; /openapi.json says how. For example:
        herbage serve model/
        herbage serve model/ --host 0.0.0.0 --token "$(openssl rand -hex 8)"
        curl -F photos=@a.jpg http://127.0.0.1:8000/api/predictions

    Parameters
    ----------
    host
        127.0.0.1 answers this computer alone; 0.0.0.0 answers everybody who can reach it, such as a phone.
    port
        Where to answer; 0 takes a free one.
    token
        What everybody has to give: by opening the address that is printed, or as `Authorization: Bearer TOKEN`.
    """
    from herbage.app.web.serving import serve as answer
    from herbage.model.model import HerbageModel

    listen(quiet)
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(engine.backbone, device=engine.device, precision=engine.precision)
    try:
        answer(opened, backbone, host=host, port=port, token=token, announce=lambda said: print(said, flush=True))
    except KeyboardInterrupt:
        # At once: leaving in the usual way would wait for the photo that is in hand.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print("Ended.")
        os._exit(130)
    return 0

"""The backbone of an exported estimator in 8-bit integers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int8

BACKBONE = "/network"
"""What the exporter writes into the namespace of the backbone's nodes (`herbage.results.onnx.Estimator.network`)."""


def quantise(source: Path, place: Path) -> int:
    """Write the network with its backbone's weights in 8 bits, as one file; returns the number of weights.

    Most matrix products are computed in 8 bits, with activations scaled per call. Those of the second layers of MLPs
    are computed in 32 bits, because their inputs have outliers: in 8 bits, the estimates of real photos and the
    distance of the domain check differ more from those in fp32. Heads are not changed.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    network = onnx.load(source, load_external_data=False)
    shapes = {weight.name: tuple(weight.dims) for weight in network.graph.initializer}
    narrowing: list[str] = []
    others: list[str] = []
    for node in network.graph.node:
        weights = [shapes[name] for name in node.input if len(shapes.get(name, ())) == 2]
        if node.op_type == "MatMul" and weights and _is_of_backbone(node):
            rows, columns = weights[0]
            (narrowing if rows > columns else others).append(node.name)
    with _without_advice():
        quantize_dynamic(
            source, place, per_channel=True, weight_type=QuantType.QInt8, nodes_to_quantize=others,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
    _store_weights_in_8_bits(place, set(narrowing))
    return len(narrowing) + len(others)


def eight_bits(
    weight: Float[np.ndarray, "row column"],
) -> tuple[Int8[np.ndarray, "row column"], Float[np.ndarray, " column"]]:
    """A weight as integers and the scale of each column, which is its largest absolute value divided by 127."""
    scale = np.maximum(np.abs(weight).max(0), np.finfo(np.float32).tiny).astype(np.float32) / 127
    return np.round(weight / scale).astype(np.int8), scale


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime logs advice on preparing a network, which the exporter's networks do not need."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _is_of_backbone(node: Any) -> bool:
    return any(entry.key == "namespace" and BACKBONE in entry.value for entry in node.metadata_props)


def _store_weights_in_8_bits(place: Path, nodes: set[str]) -> None:
    """Store the weights of these nodes as integers, from which they are computed when the network is opened."""
    import onnx
    from onnx import helper, numpy_helper

    network = onnx.load(place)
    graph = network.graph
    weights = {weight.name: weight for weight in graph.initializer}
    for node in [node for node in graph.node if node.name in nodes]:
        (name,) = (name for name in node.input if name in weights)
        integers, scale = eight_bits(numpy_helper.to_array(weights[name]))
        parts = {"integers": integers, "scale": scale, "zero": np.zeros(len(scale), np.int8)}
        graph.initializer.remove(weights[name])
        graph.initializer.extend(numpy_helper.from_array(part, f"{name}_{own}") for own, part in parts.items())
        inputs = [f"{name}_{own}" for own in parts]
        graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [name], axis=1))
    onnx.save(network, place)

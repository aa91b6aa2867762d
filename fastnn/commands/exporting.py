"""What `fastnn export` does: write a network as ONNX. Operators: https://onnx.ai/onnx/operators, of opset 17."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import __version__, files
from ..extras import needed
from ..functions import GELU_CUBE, GELU_SCALE, LEAK
from ..mlp import MLP, network
from .predicting import check_out
from .run import open_given

OPSET, IR_VERSION = 17, 8  # what runtimes of 2022 and later read

# Activations that are an operator; the others are made of several, for runtimes know theirs in float32 only.
OPERATORS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "identity": "Identity"}


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags. Raises ValueError, OSError or ImportError before anything is written."""
    check_out(given["file"], "force" in given, (".onnx",), "FILE")
    opened = open_given(given)
    net = network(opened.checkpoint, backend="numpy")
    bytes_in = opened.checkpoint.data.get("type") == "uint8"
    files.replace(given["file"], to_onnx(net, bytes_in=bytes_in))
    sizes = "-".join(map(str, net.architecture.sizes))
    kind = "uint8, which it divides by 255" if bytes_in else net.dtype.name
    if "json" in given:
        print(json.dumps({"file": given["file"], "sizes": list(net.architecture.sizes), "input": kind.split(",")[0]}))
    else:
        print(f"{given['file']}: {sizes}; its input X takes rows of {kind}.")


def to_onnx(net: MLP, *, bytes_in: bool) -> bytes:
    """A model from X (m, K) to `label` and `probabilities`, as `predict` and `predict_proba` have them, or to
    `prediction` for output "identity". bytes_in: X is uint8 and means x / 255; else it has the network's dtype.

    Over MNIST's test rows, probabilities are those of `predict_proba` to 1e-12 in float64, and to 1e-6 to 5e-6 in
    float32: runtimes add up in another order. A graph that computes in float64 is as far off, for it is the rounding
    of `predict_proba` itself.
    """
    onnx = needed("onnx", "onnx", "export")
    graph = _Graph(onnx, net)
    a = net.architecture
    A = graph.scaled("X") if bytes_in else "X"
    for W, b, activation in zip(net.weights, net.biases, (*a.activations, "identity"), strict=True):
        A = graph.activated(activation, graph.node("Gemm", A, graph.constant(W), graph.constant(b)))
    if a.output == "softmax":
        outputs = [graph.node("ArgMax", A, axis=1, keepdims=0), graph.node("Softmax", A, axis=1)]
    elif a.output == "sigmoid":
        positive = graph.node("Cast", graph.node("Greater", A, graph.number(0)), to=onnx.TensorProto.INT64)
        outputs = [graph.flat(positive), graph.node("Sigmoid", A)]
    else:
        outputs = [graph.flat(A)]
    return graph.model(outputs, bytes_in)


class _Graph:
    """An ONNX graph that grows by a node at a time; every value has a number for its name."""

    def __init__(self, onnx: Any, net: MLP) -> None:
        self.onnx, self.net = onnx, net
        self.type = onnx.helper.np_dtype_to_tensor_dtype(net.dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, self.net.dtype))

    def scaled(self, X: str) -> str:
        """x / 255 with the kernels' rounding."""
        return self.node("Mul", self.node("Cast", X, to=self.type), self.number(1 / 255))

    def activated(self, activation: str, Z: str) -> str:
        """See functions.ACTIVATION."""
        if activation in OPERATORS:
            return self.node(OPERATORS[activation], Z)
        if activation == "leaky_relu":
            return self.node("Max", Z, self.node("Mul", Z, self.number(LEAK)))
        if activation == "elu":
            below = self.node("Sub", self.node("Exp", self.node("Min", Z, self.number(0))), self.number(1))
            return self.node("Add", self.node("Relu", Z), below)
        gate = Z
        if activation == "gelu":
            cube = self.node("Mul", self.node("Mul", Z, Z), self.node("Mul", Z, self.number(GELU_CUBE)))
            gate = self.node("Mul", self.node("Add", Z, cube), self.number(2 * GELU_SCALE))
        return self.node("Mul", Z, self.node("Sigmoid", gate))

    def flat(self, A: str) -> str:
        """(m, 1) as (m,)."""
        return self.node("Squeeze", A, self.constant(np.array([1]))) if self.net.architecture.sizes[-1] == 1 else A

    def model(self, outputs: list[str], bytes_in: bool) -> bytes:
        helper, kinds, sizes = self.onnx.helper, self.onnx.TensorProto, self.net.architecture.sizes
        X = helper.make_tensor_value_info("X", kinds.UINT8 if bytes_in else self.type, ["m", sizes[0]])
        several = sizes[-1] > 1 and self.net.architecture.output != "softmax"
        first = ["m", sizes[-1]] if several else ["m"]
        if len(outputs) == 2:
            named = [("label", kinds.INT64, first), ("probabilities", self.type, ["m", sizes[-1]])]
        else:
            named = [("prediction", self.type, first)]
        for value, (name, _, _) in zip(outputs, named, strict=True):
            self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        out = [helper.make_tensor_value_info(*each) for each in named]
        graph = helper.make_graph(self.nodes, "fastnn", [X], out, self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="fastnn",
            producer_version=__version__,
        )
        self.onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content

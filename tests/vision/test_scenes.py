"""Scene models: real weights where they are at hand, tiny ones made here, and every way a JSON can be wrong."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from torchvision.transforms.v2 import functional as tv

from cityguessr_data.core.errors import CgtoolError, InputError, MachineError, VideoError, WeightsError
from cityguessr_data.core.places365 import categories
from cityguessr_data.vision import scene_models
from cityguessr_data.vision.scene_input import EXAMPLE, RESNET_INPUT, prepared, read_onnx_scene
from cityguessr_data.vision.scene_scores import top1_of_logits
from cityguessr_data.vision.scenes import SceneConfig, load_classifier

JsonChange = Callable[[dict[str, Any]], object]


def real_model() -> Path:
    folder = os.environ.get("CGTOOL_WEIGHTS", "")
    path = Path(folder, "squeezenet_places365.onnx")
    if not folder or not path.is_file():
        pytest.skip("needs squeezenet_places365.onnx in $CGTOOL_WEIGHTS")
    return path


def photos(height: int, width: int) -> np.ndarray:
    """Three real pictures cut to one size: (3, height, width, 3)."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image, which the extra `demo` brings")
    pictures = (data.astronaut(), data.coffee(), data.rocket())
    return np.stack([p[:height, :width] for p in pictures])


def write_tiny_model(
    folder: Path, change: JsonChange = lambda spec: None, classes: int = 365, softmax: bool = False
) -> Path:
    """A linear model on the mean of each input channel: 365 logits, random weights."""
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(3, classes)).astype(np.float32), "b": rng.normal(size=classes).astype(np.float32)}
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["raw" if softmax else "logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["raw"], ["logits"], axis=1))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    path = folder / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    spec: dict[str, Any] = copy.deepcopy(EXAMPLE) | {"file": "tiny.onnx"}
    change(spec)
    path.with_suffix(".json").write_text(json.dumps(spec), encoding="utf-8")
    return path


@pytest.mark.parametrize(("height", "width"), [(400, 400), (300, 400), (400, 300), (100, 400)])
def test_the_real_model_is_shown_what_its_json_says(height: int, width: int) -> None:
    """The oracle is torchvision's resize on reals, after the words of the JSON: another resizer, no code of ours."""
    path = real_model()
    frames = photos(height, width)
    short = 256 / min(height, width)
    size = [int(height * short), int(width * short)]
    tensor = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float()
    tensor = tv.resize(tensor, size, antialias=True)
    tensor = tv.center_crop(tensor, [224, 224]).flip(1)
    tensor = (tensor - torch.tensor([104.0, 112.0, 116.0])[:, None, None]) / 255
    # Pillow rounds to whole grey levels after each direction
    assert prepared(frames, read_onnx_scene(path).input) == pytest.approx(tensor.numpy(), abs=1.6 / 255)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    probs = torch.from_numpy(session.run(["logits"], {"image": tensor.numpy()})[0]).softmax(1)

    model = load_classifier(SceneConfig(str(path)), threads=1)

    assert model is not None
    top1, prob = model.classify(frames)
    assert (top1.dtype, prob.dtype, top1.shape) == (np.int16, np.float32, (3,))
    assert prob == pytest.approx(probs.max(dim=1).values.numpy(), abs=0.02)
    near = probs.numpy()[np.arange(3), top1]
    assert near == pytest.approx(probs.max(dim=1).values.numpy(), abs=0.02)


def test_the_real_model_knows_a_rocket_from_a_cup_of_coffee() -> None:
    model = load_classifier(SceneConfig(str(real_model())))
    assert model is not None
    top1, _ = model.classify(photos(400, 512))
    rocket = categories()[int(top1[2])]
    assert not rocket.indoor
    assert top1[1] != top1[2]


def test_batches_and_threads_do_not_change_the_answer() -> None:
    path = real_model()
    frames = photos(360, 500)
    one, two = load_classifier(SceneConfig(str(path)), threads=1), load_classifier(SceneConfig(str(path)), threads=2)
    assert one is not None
    assert two is not None
    together = one.classify(frames)
    alone = [one.classify(frames[i : i + 1]) for i in range(3)]
    assert np.concatenate([a[0] for a in alone]).tolist() == together[0].tolist()
    assert np.concatenate([a[1] for a in alone]) == pytest.approx(together[1], abs=1e-5)
    assert two.classify(frames)[0].tolist() == together[0].tolist()
    assert one.digest == two.digest


def test_a_tiny_model_by_hand(tmp_path: Path) -> None:
    """Flat frames: every filter of every resizer leaves them alone, so the logits can be written down."""
    path = write_tiny_model(tmp_path)
    weights = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    colours = np.array([[255, 0, 0], [10, 200, 90]], np.float64)
    frames = np.broadcast_to(colours[:, None, None, :], (2, 72, 128, 3)).astype(np.uint8)
    shown = (colours[:, ::-1] - [104.0, 112.0, 116.0]) / 255
    powers = np.exp(shown @ weights["w"] + weights["b"])
    probs = powers / powers.sum(axis=1, keepdims=True)

    model = load_classifier(SceneConfig(str(path), device="cpu"))

    assert model is not None
    top1, prob = model.classify(frames)
    assert top1.tolist() == probs.argmax(axis=1).tolist()
    assert prob == pytest.approx(probs.max(axis=1), rel=1e-4)
    assert [len(a) for a in model.classify(frames[:0])] == [0, 0]
    both = path.read_bytes() + path.with_suffix(".json").read_bytes()
    assert model.digest == hashlib.sha256(both).hexdigest()


def test_a_scale_for_each_channel_and_channels_last_are_understood(tmp_path: Path) -> None:
    def change(spec: dict[str, Any]) -> None:
        spec["input"] |= {"channels": "RGB", "layout": "NHWC", "mean": [1, 2, 3], "scale": [1, 0.5, 0.25]}

    path = write_tiny_model(tmp_path, change)
    frame = np.full((1, 50, 90, 3), (11, 22, 33), np.uint8)
    shown = prepared(frame, read_onnx_scene(path).input)
    assert shown.shape == (1, 224, 224, 3)
    assert np.unique(shown.reshape(-1, 3), axis=0).tolist() == [[10.0, 10.0, 7.5]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("output"), "the file: missing output"),
        (lambda s: s["input"].pop("mean"), "input: missing mean"),
        (lambda s: s["input"].update(std=[1, 1, 1]), "input: unknown std"),
        (lambda s: s.update(file="other.onnx"), "file: expected 'tiny.onnx'"),
        (lambda s: s.update(classes="imagenet"), "classes: expected"),
        (lambda s: s.update(input=[1]), "input: expected an object"),
        (lambda s: s.update(output=""), "output: expected the name"),
        (lambda s: s["input"].update(channels="GRB"), "input.channels: expected 'RGB' or 'BGR'"),
        (lambda s: s["input"].update(layout="CHW"), "input.layout"),
        (lambda s: s["input"].update(crop="none"), "input.crop"),
        (lambda s: s["input"].update(order="pixel * scale - mean"), "input.order"),
        (lambda s: s["input"].update(size="224"), "input.size: expected a whole number"),
        (lambda s: s["input"].update(size=True), "input.size: expected a whole number"),
        (lambda s: s["input"].update(size=300), "expected 1 <= size <= resize"),
        (lambda s: s["input"].update(mean=[1, 2]), "input.mean: expected a number for each"),
        (lambda s: s["input"].update(scale=float("nan")), "input.scale"),
        (lambda s: s["input"].update(scale="1/255"), "input.scale"),
    ],
)
def test_a_wrong_json_is_refused_in_one_line(tmp_path: Path, change: JsonChange, says: str) -> None:
    path = write_tiny_model(tmp_path, change)
    with pytest.raises(InputError) as caught:
        load_classifier(SceneConfig(str(path)))
    assert says in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_json_says_what_to_write(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path)
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"tiny\.json"):
        load_classifier(SceneConfig(str(path)))
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError) as caught:
        load_classifier(SceneConfig(str(path)))
    written = caught.value.hint[caught.value.hint.index("{") :]
    path.with_suffix(".json").write_text(written, encoding="utf-8")
    assert load_classifier(SceneConfig(str(path))) is not None  # the hint, taken by the word, works


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda folder: write_tiny_model(folder, classes=1000), r"expected 365 logits .* \(2, 1000\)"),
        (lambda folder: write_tiny_model(folder, softmax=True), "probabilities, expected logits"),
        (lambda folder: write_tiny_model(folder, lambda s: s.update(output="scores")), "does not take the input"),
        (lambda folder: write_tiny_model(folder, lambda s: s["input"].update(name="x")), "does not take the input"),
        (lambda folder: write_tiny_model(folder, lambda s: s["input"].update(size=128)), "does not take the input"),
    ],
)
def test_a_model_that_its_json_does_not_describe_is_refused(
    tmp_path: Path, build: Callable[[Path], Path], says: str
) -> None:
    with pytest.raises(WeightsError, match=says):
        load_classifier(SceneConfig(str(build(tmp_path))))


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path)
    path.write_bytes(b"not a graph")
    with pytest.raises(WeightsError, match="cannot read it") as caught:
        load_classifier(SceneConfig(str(path)))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is not there"):
        load_classifier(SceneConfig(str(tmp_path / "none.onnx")))


def test_official_resnet_files_are_read_and_shown_what_the_official_script_shows(tmp_path: Path) -> None:
    """Random weights in the released files' layout; the oracle is that script's transform, by torchvision on PIL."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=365).eval()
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    path = tmp_path / "resnet18_places365.pth.tar"
    torch.save({"epoch": 90, "arch": "resnet18", "state_dict": state, "best_prec1": 54.0}, path)
    official = torchvision.transforms.Compose(
        [
            torchvision.transforms.ToPILImage(),
            torchvision.transforms.Resize((256, 256)),
            torchvision.transforms.CenterCrop(224),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    frames = photos(360, 480)
    shown = torch.stack([official(f) for f in frames])
    with torch.inference_mode():
        expected = network(shown).softmax(1)

    model = scene_models.load_resnet("resnet18", path, "cpu", "fp32")

    to_levels = 255 * np.array([0.229, 0.224, 0.225])[:, None, None]
    apart = np.abs(prepared(frames, RESNET_INPUT) - shown.numpy()) * to_levels
    assert apart.max() < 1.01 and (apart > 0.01).mean() < 0.01
    top1, prob = model.classify(frames)
    assert top1.tolist() == expected.argmax(dim=1).tolist()
    assert prob == pytest.approx(expected.max(dim=1).values.numpy(), rel=1e-2)
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(model.classify(frames[:0])[0]) == 0

    half = scene_models.load_resnet("resnet18", path, "cpu", "bf16")
    assert half.classify(frames)[1] == pytest.approx(prob, rel=0.1)
    with pytest.raises(WeightsError, match="is not a Places365 resnet50"):
        scene_models.load_resnet("resnet50", path, "cpu", "fp32")


def test_missing_weights_name_the_command_that_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGTOOL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("CGTOOL_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        load_classifier(SceneConfig())
    assert "cgtool weights pull places365-resnet18" in str(caught.value)


def test_cuda_is_asked_for_and_not_there(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(MachineError, match="CUDA"):
        scene_models.load_resnet("resnet18", tmp_path / "none", "cuda", "fp32")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(MachineError, match="CUDA"):
            load_classifier(SceneConfig(str(write_tiny_model(tmp_path)), device="cuda"))


def test_off_is_no_model() -> None:
    assert load_classifier(SceneConfig("off")) is None


@pytest.mark.parametrize("fields", [{"model": "vgg"}, {"device": "tpu"}, {"precision": "int8"}, {"parents": "all"}])
def test_an_unknown_option_is_the_users_error(fields: dict[str, str]) -> None:
    with pytest.raises(CgtoolError, match="unknown") as caught:
        SceneConfig(**fields)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_softmax_is_stable_and_ties_go_to_the_lowest() -> None:
    logits = np.zeros((2, 365), np.float32)
    logits[0, 7] = logits[0, 300] = 1000.0
    top1, prob = top1_of_logits(logits)
    assert top1.tolist() == [7, 0]
    assert prob == pytest.approx([0.5, 1 / 365])
    logits[1, 3] = np.nan
    with pytest.raises(VideoError, match="not a number"):
        top1_of_logits(logits)

"""Networks of PyTorch as ONNX files, by both exporters, and what onnxruntime answers to them. Where that is not
what PyTorch answers, this fails.

    make_torch.py FOLDER
"""

import json
import logging
import pathlib
import sys
import warnings

import numpy
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from answers import answer, session  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
OPSETS = (7, 9, 10, 11, 13, 16, 17, 18, 20)
FOLDER = pathlib.Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)


class Lenet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return torch.softmax(self.fc3(x), 1)


class Block(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.short = nn.Identity()
        if stride != 1:
            self.short = nn.Sequential(nn.Conv2d(inner, outer, 1, stride), nn.BatchNorm2d(outer))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.short(x))


def resnet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Block(8, 8, 1),
        Block(8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(16, 10),
    )


class Gate(nn.Module):
    """Squeeze and excitation, as MobileNetV3 has it."""

    def __init__(self, width):
        super().__init__()
        self.down = nn.Conv2d(width, 4, 1)
        self.up = nn.Conv2d(4, width, 1)

    def forward(self, x):
        y = x.mean((2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.up(torch.relu(self.down(y))))


def mobile():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        Gate(8),
        nn.Conv2d(8, 12, 1),
        nn.SiLU(),
        nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(12, 24, 3, groups=12),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(24 * 6 * 6, 5),
    )


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 8, 3, padding=1, stride=2)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = nn.functional.leaky_relu(self.down(x), 0.1)
        b = self.up(nn.functional.elu(self.inner(a)))
        c = nn.functional.interpolate(self.last(torch.cat([a, b], 1)), scale_factor=2)
        return torch.softmax(c, 1)


def mlp():
    return nn.Sequential(
        nn.Linear(20, 32),
        nn.BatchNorm1d(32),
        nn.Tanh(),
        nn.Linear(32, 16),
        nn.PReLU(),
        nn.Linear(16, 3),
        nn.Sigmoid(),
    )


class Flat(nn.Module):
    """Numbers of channels first, flattened, through what works on each by itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding="same")
        self.norm = nn.BatchNorm1d(3 * 6 * 5)
        self.last = nn.Linear(3 * 6 * 5, 4)

    def forward(self, x):
        x = (x - 0.5) / 0.25
        x = nn.functional.max_pool2d(self.conv(x), 2, ceil_mode=True)
        return self.last(nn.functional.mish(self.norm(x.flatten(1))))


def sequence():
    return nn.Sequential(
        nn.Conv1d(3, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(8, 4, 3),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def vgg():
    layers, width = [], 3
    for filters in (8, 8, "pool", 12, "pool"):
        if filters == "pool":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers += [nn.Conv2d(width, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(True)]
        width = filters
    layers += [nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(width * 4, 16), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(16, 10), nn.LogSoftmax(1))


def separable():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, groups=3, bias=False),
        nn.Conv2d(6, 8, 1),
        nn.Hardtanh(-1, 1),
        nn.Conv2d(8, 8, 3, dilation=2, groups=4, padding=(2, 1)),
        nn.BatchNorm2d(8, affine=False),
        nn.CELU(0.8),
        nn.Dropout2d(0.2),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
        nn.Softmax(-1),
    )


def asymmetric():
    return nn.Sequential(
        nn.ZeroPad2d((1, 0, 2, 1)),
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1)),
        nn.SELU(),
        nn.AvgPool2d((3, 2), stride=2, padding=(1, 0), count_include_pad=False),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.ConstantPad2d((0, 2, 0, 1), 0.0),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(4 * 5 * 4, 3),
    )


class Norms(nn.Module):
    """The other normalisations, and channels in two halves."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.group = nn.GroupNorm(4, 8)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.layer = nn.LayerNorm(8 * 6 * 6)
        self.last = nn.Linear(8 * 6 * 6, 3)

    def forward(self, x):
        a, b = self.group(self.conv(x)).chunk(2, 1)
        x = torch.cat([torch.relu(b), self.instance(a)], 1)
        return self.last(self.layer(torch.flatten(x, 1)))


class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).transpose(2, 3)


class Rows(nn.Module):
    """Pixels as rows of channels: 8 channels, of an image of 35 pixels or of 8."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x).flatten(2).transpose(1, 2)


MODELS = {
    "vgg": (vgg, (3, 16, 16)),
    "separable": (separable, (3, 14, 12)),
    "asymmetric": (asymmetric, (2, 15, 9)),
    "norms": (Norms, (3, 6, 6)),
    "lenet": (Lenet, (1, 28, 28)),
    "resnet": (resnet, (3, 33, 33)),
    "mobile": (mobile, (3, 32, 32)),
    "unet": (Unet, (2, 16, 12)),
    "mlp": (mlp, (20,)),
    "flat": (Flat, (2, 11, 10)),
    "sequence": (sequence, (3, 20)),
    "turned": (Turned, (3, 7, 5)),
    "rows": (Rows, (3, 7, 5)),
    "square-rows": (Rows, (3, 4, 2)),
}

# The first operator set that has what they take, if it is not 7.
LOWEST = {"separable": 13, "asymmetric": 9, "mobile": 9, "unet": 9, "flat": 9}


# They give their images in another order of axes, which is to stay.
ORDERED = {"turned", "rows", "square-rows"}


def compare(path, model, name):
    """Keeps the answers to `path`, which are to be the model's."""
    runtime = session(path)
    (x,), (y,) = runtime.get_inputs(), runtime.get_outputs()
    rank = len(MODELS[name][1]) + 1
    first = {x.name} if rank > 2 else set()
    if rank > 2 and len(y.shape) == rank and name not in ORDERED:
        first.add(y.name)
    answer(path, first=first)
    case = json.loads((path.parent / f"{path.name}.json").read_text())
    x, y = (
        numpy.fromfile(path.parent / entry["file"], "<f4").reshape(entry["shape"])
        for entry in (case["inputs"][0], case["outputs"][0])
    )
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    numpy.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4, err_msg=path.name)


torch.manual_seed(0)
for name, (make, shape) in MODELS.items():
    model = make()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.uniform_(-0.5, 0.5)
    model.eval()
    example = torch.randn(2, *shape)
    for opset in OPSETS:
        if opset < LOWEST.get(name, 7):
            continue
        path = FOLDER / f"torchscript-{opset}-{name}.onnx"
        torch.onnx.export(
            model, (example,), path, dynamo=False, opset_version=opset,
            input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
        )
        compare(path, model, name)
    if name == "resnet":
        path = FOLDER / f"torchscript-unfolded-{name}.onnx"
        torch.onnx.export(
            model, (example,), path, dynamo=False, opset_version=17, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
        compare(path, model, name)
    for external in (False, True):
        path = FOLDER / f"dynamo-{'external-' if external else ''}{name}.onnx"
        torch.onnx.export(
            model, (example,), path, dynamo=True, external_data=external, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("N", min=1, max=64)},),
        )
        compare(path, model, name)

"""The layers of `cargo bench --bench conv -- --table --json`, read from standard input, in PyTorch
(oneDNN, channels_last) on one thread: GFLOP/s of each direction."""
import json
import sys

import torch
import torch.nn.functional as F

import workload


def directions(layer):
    """What computes each direction of a layer."""
    samples = layer["samples"]
    if "units" in layer:
        inputs, units = layer["input"][0], layer["units"]
        x, dy = torch.randn(samples, inputs), torch.randn(samples, units)
        weight = torch.randn(units, inputs)
        return {
            "forward": lambda: F.linear(x, weight),
            "input gradient": lambda: dy @ weight,
            "kernel gradient": lambda: dy.t() @ x,
        }
    height, width, channels = layer["input"]
    settings = dict(
        stride=layer["strides"],
        # For strides above 1 on another side than TensorFlow's `same`, at the same cost.
        padding=[
            (size - 1) * dilation // 2 if layer["same"] else 0
            for size, dilation in zip(layer["kernel"], layer["dilation"])
        ],
        dilation=layer["dilation"],
        groups=layer["groups"],
    )
    last = dict(memory_format=torch.channels_last)
    x = torch.randn(samples, channels, height, width).to(**last)
    weight = torch.randn(layer["filters"], channels // layer["groups"], *layer["kernel"]).to(**last)
    y = F.conv2d(x, weight, **settings)
    dy = torch.randn(y.shape).to(**last)

    def gradient(mask):
        return torch.ops.aten.convolution_backward(
            dy, x, weight, None, settings["stride"], settings["padding"], settings["dilation"],
            False, [0, 0], settings["groups"], mask,
        )

    return {
        "forward": lambda: F.conv2d(x, weight, **settings),
        "input gradient": lambda: gradient([True, False, False]),
        "kernel gradient": lambda: gradient([False, True, False]),
    }


@torch.inference_mode()
def main():
    torch.set_num_threads(1)
    repetitions = 5 if "--quick" in sys.argv else 51
    layers = json.load(sys.stdin)
    for layer in layers:
        for direction, work in directions(layer).items():
            taken = workload.seconds(work, repetitions)
            layer[direction] = {"gflops": layer["operations"] / taken / 1e9}
    print(json.dumps(layers))


main()

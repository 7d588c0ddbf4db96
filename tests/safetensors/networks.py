"""The networks of torch.rs in PyTorch.

For each, in the folder given: NAME.ours.safetensors is loaded by load_state_dict(strict=True) and run on
NAME.input.safetensors; weights of PyTorch's own go to NAME.theirs.safetensors and, with numbers for the names
of the modules, to NAME.numbered.safetensors; the answers to both to NAME.answers.safetensors.
Made for torch 2.15.0 and safetensors 0.8.0.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

NORM = dict(eps=1e-3, momentum=0.01)


class W1(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d = nn.Conv2d(1, 32, 3)
        self.conv2d_1 = nn.Conv2d(32, 64, 3)
        self.dense = nn.Linear(1600, 128)
        self.dense_1 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2d(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2d_1(x)), 2)
        x = F.relu(self.dense(x.flatten(1)))
        return F.softmax(self.dense_1(x), 1)


class Block(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1 if stride == 1 else 0, bias=False)
        self.bn1 = nn.BatchNorm2d(filters, **NORM)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters, **NORM)
        if stride != 1:
            self.short = nn.Conv2d(inputs, filters, 1, stride, bias=False)

    def forward(self, x):
        short = self.short(x) if hasattr(self, "short") else x
        # "same" of Keras puts the odd one behind.
        y = x if self.conv1.padding[0] else F.pad(x, (0, 1, 0, 1))
        y = F.relu(self.bn1(self.conv1(y)))
        return F.relu(short + self.bn2(self.conv2(y)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.stem.bn = nn.BatchNorm2d(8, **NORM)
        self.layer1 = Block(8, 8, 1)
        self.layer2 = Block(8, 16, 2)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.stem.bn(self.stem.conv(x)))
        return F.softmax(self.fc(self.layer2(self.layer1(x)).mean((2, 3))), 1)


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, groups=3)
        self.depthwise = nn.Conv2d(6, 12, 3, groups=6)
        self.bn = nn.BatchNorm2d(12, **NORM)
        self.prelu = nn.PReLU(12)
        self.separable = nn.Module()
        self.separable.depthwise = nn.Conv2d(12, 12, 3, groups=12, bias=False)
        self.separable.pointwise = nn.Conv2d(12, 5, 1)
        self.up = nn.ConvTranspose2d(5, 4, 3, 2)
        self.fc = nn.Linear(4 * 13 * 13, 5)

    def forward(self, x):
        x = self.prelu(self.bn(self.depthwise(self.conv(x))))
        x = self.separable.pointwise(self.separable.depthwise(x))
        return self.fc(self.up(x).flatten(1))


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm1d(48, **NORM)
        self.prelu = nn.PReLU(48)
        self.hidden = nn.Linear(48, 7)
        self.fc = nn.Linear(7 + 48 + 8, 3)

    def forward(self, x):
        x = self.conv(x)
        flat = self.prelu(self.norm(x.flatten(1)))
        pooled = F.max_pool2d(x, 2).flatten(1)
        return self.fc(torch.cat([self.hidden(flat), flat, pooled], 1))


class Lone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.shifted = nn.BatchNorm2d(4, **NORM)
        self.scaled = nn.BatchNorm2d(4, **NORM)
        self.neither = nn.BatchNorm2d(4, affine=False, **NORM)
        self.shifted_groups = nn.GroupNorm(2, 4, eps=1e-3)
        self.scaled_groups = nn.GroupNorm(2, 4, eps=1e-3)
        self.hidden = nn.Linear(64, 6)
        self.shifted_rows = nn.LayerNorm(6, eps=1e-3)
        self.scaled_rows = nn.LayerNorm(6, eps=1e-3, bias=False)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = self.neither(self.scaled(self.shifted(self.conv(x))))
        x = self.scaled_groups(self.shifted_groups(x))
        x = self.hidden(x.flatten(1))
        return self.fc(self.scaled_rows(self.shifted_rows(x)))


def renamed(state):
    """With the numbers of the modules, in their order, for their names."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    def called(name):
        module, _, parameter = name.rpartition(".")
        return f"model.{modules.index(module)}.{parameter}"
    return {called(name): tensor for name, tensor in state.items()}


def main(home):
    for name, network in [("w1", W1), ("resnet", ResNet), ("depthwise", Depthwise), ("features", Features),
                          ("lone", Lone)]:
        at = lambda part: str(home / f"{name}.{part}.safetensors")
        x = load_file(at("input"))["input"].permute(0, 3, 1, 2).contiguous()
        ours = network().eval()
        ours.load_state_dict(load_file(at("ours")), strict=True)
        torch.manual_seed(5)
        theirs = network()
        with torch.no_grad():
            # Averages that are not those that training begins with.
            theirs.train()(torch.randn(16, *x.shape[1:]))
            theirs.eval()
            answers = {"ours": ours(x).contiguous(), "theirs": theirs(x).contiguous()}
        state = {key: tensor.contiguous() for key, tensor in theirs.state_dict().items()}
        save_file(state, at("theirs"))
        save_file(renamed(state), at("numbered"), {"format": "pt"})
        save_file(answers, at("answers"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

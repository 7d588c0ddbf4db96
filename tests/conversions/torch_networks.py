"""The five networks of tests/networks in PyTorch, with the names that their modules have in keepnet's files."""

import sys
from pathlib import Path

from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "safetensors"))
from networks import NORM, W1, ResNet  # noqa: E402


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2d_1 = nn.Conv2d(6, 16, 5)
        self.dense = nn.Linear(400, 120)
        self.dense_1 = nn.Linear(120, 84)
        self.dense_2 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.avg_pool2d(F.tanh(self.conv2d(x)), 2)
        x = F.avg_pool2d(F.tanh(self.conv2d_1(x)), 2)
        x = F.tanh(self.dense_1(F.tanh(self.dense(x.flatten(1)))))
        return F.softmax(self.dense_2(x), 1)


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d = nn.Conv2d(3, 8, 3)
        self.depthwise_conv2d = nn.Conv2d(8, 8, 3, 2, groups=8, bias=False)
        self.batch_normalization = nn.BatchNorm2d(8, **NORM)
        self.conv2d_1 = nn.Conv2d(8, 12, 1)
        self.depthwise_conv2d_1 = nn.Conv2d(12, 24, 3, groups=12)
        self.separable_conv2d = nn.Module()
        self.separable_conv2d.depthwise = nn.Conv2d(24, 24, 3, groups=24, bias=False)
        self.separable_conv2d.pointwise = nn.Conv2d(24, 6, 1)
        self.dense = nn.Linear(6, 5)

    def forward(self, x):
        # "same" of Keras puts the odd one behind.
        x = self.depthwise_conv2d(F.pad(F.relu6(self.conv2d(x)), (0, 1, 0, 1)))
        x = F.hardswish(self.conv2d_1(F.relu6(self.batch_normalization(x))))
        x = self.separable_conv2d.depthwise(self.depthwise_conv2d_1(x))
        x = F.silu(self.separable_conv2d.pointwise(x)).mean((2, 3))
        return F.softmax(self.dense(x), 1)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(20, 32)
        self.batch_normalization = nn.BatchNorm1d(32, **NORM)
        self.dense_1 = nn.Linear(32, 16)
        self.dense_2 = nn.Linear(16, 3)

    def forward(self, x):
        x = self.batch_normalization(F.gelu(self.dense(x)))
        return F.sigmoid(self.dense_2(F.elu(self.dense_1(x), 0.7)))


NETWORKS = {"w1": W1, "lenet5": LeNet5, "resnet": ResNet, "depthwise": Depthwise, "mlp": Mlp}

"""The networks of benches/measure/nets.rs in PyTorch, channels_last: torch_nets.py NET [--threads N]."""
import torch
import torch.nn.functional as F
from torch import nn

import workload


def conv(inputs, filters, size, stride=1, padding=0):
    return [nn.Conv2d(inputs, filters, size, stride, padding), nn.ReLU()]


def dense(*units):
    layers = [nn.Flatten()]
    for inputs, outputs in zip(units, units[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]  # logits: the loss holds the softmax


def pool():
    return [nn.MaxPool2d(2)]


def norm(inputs, filters, size, stride):
    padding = size // 2  # as many output cells as `same`, of which one differs in where it pads
    return nn.Sequential(
        nn.Conv2d(inputs, filters, size, stride, padding, bias=False), nn.BatchNorm2d(filters)
    )


class Block(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.first = norm(inputs, filters, 3, stride)
        self.second = norm(filters, filters, 3, 1)
        self.shortcut = norm(inputs, filters, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


NETS = {
    "w1": lambda: conv(1, 32, 3) + pool() + conv(32, 64, 3) + pool() + dense(1600, 128, 10),
    "dense_conv": lambda: conv(1, 32, 3) + conv(32, 64, 3, 2) + dense(9216, 128, 10),
    "lenet": lambda: (
        conv(1, 6, 5, padding=2) + pool() + conv(6, 16, 5) + pool() + dense(400, 120, 84, 10)
    ),
    "vgg": lambda: (
        conv(3, 64, 3, padding=1) + conv(64, 64, 3, padding=1) + pool()
        + conv(64, 128, 3, padding=1) + conv(128, 128, 3, padding=1) + pool()
        + dense(8192, 256, 10)
    ),
    "resnet": lambda: [
        norm(3, 16, 3, 1), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), *dense(64, 10),
    ],
}


def main():
    options = workload.arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x, y = map(torch.from_numpy, workload.images(options.net))
    x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    model = nn.Sequential(*NETS[options.net]()).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), 0.001, fused=True)
    sizes = workload.NETS[options.net]

    def train():
        model.train()
        for pick in torch.randperm(len(x)).split(sizes["batch"]):
            adam.zero_grad()
            F.cross_entropy(model(x[pick]), y[pick]).backward()
            adam.step()

    @torch.inference_mode()
    def predict(batches):
        model.eval()
        for batch in batches:
            model(batch)

    batches, image = x.split(sizes["predicted"]), [x[:1]]
    workload.report(
        options, train=train, infer=lambda: predict(batches), one=lambda: predict(image)
    )


if __name__ == "__main__":
    main()

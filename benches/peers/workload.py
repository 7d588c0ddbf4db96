"""What the peers are given: the same batches and images as keepnet's benches, and the same clock."""
import argparse
import gzip
import json
import time
from pathlib import Path
from statistics import median

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "data"

# Samples per training step and per call of predict, as in benches/measure/nets.rs. An epoch there is
# as many images; peers with a longer start take as many as they like.
NETS = {
    "w1": dict(batch=128, predicted=500, images=8000),
    "dense_conv": dict(batch=128, predicted=500, images=4000),
    "lenet": dict(batch=128, predicted=500, images=8000),
    "vgg": dict(batch=64, predicted=64, images=256),
    "resnet": dict(batch=64, predicted=64, images=2048),
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="measure next to nothing")
    return parser.parse_args()


def images(net):
    """float32 images of shape (count, height, width, channels) and their classes."""
    count = NETS[net]["images"]
    if net in ("vgg", "resnet"):  # noise: a step takes as long whatever is learned
        random = np.random.default_rng(0)
        x = random.random((count, 32, 32, 3), np.float32)
        return x, random.integers(0, 10, count)

    def idx(name, header):
        return np.frombuffer(gzip.decompress((DATA / name).read_bytes())[header:], np.uint8)

    x = idx("train-images-10k-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)[:count]
    y = idx("train-labels-10k-idx1-ubyte.gz", 8)[:count]
    return x.astype(np.float32) / 255, y.astype(np.int64)


def seconds(work, repetitions):
    """The median of the seconds that `work` takes. Once before, it is not timed."""
    work()
    taken = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def report(options, one, **passes):
    """Prints images per second of `passes`, each over all images, and microseconds of `one` image."""
    count, repetitions = NETS[options.net]["images"], 1 if options.quick else 5
    speed = {name: round(count / seconds(work, repetitions), 1) for name, work in passes.items()}
    speed["one_us"] = round(1e6 * seconds(one, 10 if options.quick else 300), 1)
    print(json.dumps(speed))

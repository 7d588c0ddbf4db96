"""What a program answers to models that keepnet has converted.

    answers.py keras|tf_keras|tensorflow|torch|onnxruntime CASES.json

CASES.json lists models, the network that each is, the file of numbers that it is given, their shape, and the file
that its answers go to.
"""

import json
import logging
import os
import sys

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}

import numpy  # noqa: E402

# Not all that is saved was compiled.
logging.disable(logging.WARNING)


def kerases(name):
    kerases = __import__(name)

    def answer(case, x):
        kerases.backend.clear_session()
        return kerases.models.load_model(case["model"])(x, training=False)

    return answer


def tensorflow():
    import tensorflow

    def answer(case, x):
        # What is loaded must outlive its functions.
        loaded = tensorflow.saved_model.load(case["model"])
        function = loaded.signatures["serving_default"]
        [name] = function.structured_input_signature[1]
        [y] = function(**{name: tensorflow.constant(x)}).values()
        return y

    return answer


def torch():
    import torch
    from safetensors.torch import load_file
    from torch_networks import NETWORKS

    def answer(case, x):
        network = NETWORKS[case["network"]]().eval()
        state = load_file(case["model"])
        kept = ("optimizer.", "keepnet/")
        weights = {name: it for name, it in state.items() if not name.startswith(kept)}
        network.load_state_dict(weights, strict=True)
        x = torch.from_numpy(x)
        with torch.no_grad():
            return network(x.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else x)

    return answer


def onnxruntime():
    import onnxruntime

    def answer(case, x):
        session = onnxruntime.InferenceSession(case["model"], providers=["CPUExecutionProvider"])
        [value] = session.get_inputs()
        [y] = session.run(None, {value.name: x})
        return y

    return answer


PROGRAMS = {
    "keras": lambda: kerases("keras"),
    "tf_keras": lambda: kerases("tf_keras"),
    "tensorflow": tensorflow,
    "torch": torch,
    "onnxruntime": onnxruntime,
}


def main(program, path):
    answer = PROGRAMS[program]()
    with open(path) as file:
        cases = json.load(file)
    failed = 0
    for case in cases:
        x = numpy.fromfile(case["input"], "<f4").reshape(case["shape"])
        try:
            y = numpy.asarray(answer(case, x))
        except Exception as error:  # every case is to be told of
            failed += 1
            said = str(error)
            print(f"{case['network']}, {case['model']}: {type(error).__name__}: {said[:300]} … {said[-300:]}")
        else:
            y.astype("<f4").tofile(case["answers"])
    sys.exit(failed > 0)


main(*sys.argv[1:])

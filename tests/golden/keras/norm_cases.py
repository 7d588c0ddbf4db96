"""Single layers that normalise, rescale, or have slopes of their own."""

from layer_cases import BATCH, case

VECTORS, SEQUENCES = (4, 5), (3, 4, 5)
MEAN, VARIANCE = [0.25, -0.5], [0.5, 2.0]


def record():
    return [
        case("layer_normalization_vectors", "LayerNormalization", {}, VECTORS),
        case("layer_normalization_epsilon", "LayerNormalization", {"epsilon": 1e-5}, SEQUENCES),
        case("layer_normalization_plain", "LayerNormalization", PLAIN, SEQUENCES),
        case("layer_normalization_two_axes", "LayerNormalization", {"axis": [-2, -1]}, BATCH),
        case("layer_normalization_sample", "LayerNormalization", {"axis": [1, 2, 3]}, BATCH),
        case("normalization_given", "Normalization", {"mean": MEAN, "variance": VARIANCE}, BATCH),
        case("normalization_one_for_all", "Normalization", ONE_FOR_ALL, BATCH),
        case("normalization_inverted", "Normalization", INVERTED, BATCH),
        case("normalization_stored", "Normalization", {"axis": [1, -1]}, BATCH),
        case("normalization_no_axis", "Normalization", {"axis": None}, SEQUENCES),
        case("prelu", "PReLU", {}, BATCH),
        case("prelu_shared", "PReLU", {"shared_axes": [1, 2]}, BATCH),
        case("prelu_shared_columns", "PReLU", {"shared_axes": [2]}, BATCH),
        case("prelu_shared_channels", "PReLU", {"shared_axes": [3]}, BATCH),
        case("softmax_rows", "Softmax", {"axis": 1}, BATCH),
        case("softmax_columns", "Softmax", {"axis": -2}, BATCH),
        case("softmax_channels", "Softmax", {}, BATCH),
        case("rescaling", "Rescaling", {"scale": [0.5, -3.0], "offset": [1.0, 0.25]}, BATCH),
        case("identity", "Identity", {}, VECTORS),
    ]


PLAIN = {"center": False, "scale": False}
ONE_FOR_ALL = {"axis": None, "mean": 0.5, "variance": 4.0}
INVERTED = {"mean": MEAN, "variance": VARIANCE, "invert": True}

"""What is timed: losses, shapes and inputs, the same for every library."""

import math
from dataclasses import dataclass

import numpy as np

ELEMENTWISE = [
    "l1", "l2", "huber", "hinge", "squared_hinge", "logistic", "sigmoid_bce", "poisson_nll",
]
SIGNED = {"hinge", "squared_hinge", "logistic"}
SOFTMAX = [
    (1, 10), (1, 1000), (128, 1000), (4096, 1000), (65536, 10), (512, 32000), (256, 128256),
    (1, 128256),
]
EMBEDDINGS = [(1024, 512), (65536, 128)]
SDML = [(256, 512), (4096, 512)]
# Samples, frames, classes, labels of each sample.
CTC = {
    "A": (32, 500, 32, 80),
    "B": (16, 150, 80, 20),
    "C": (16, 1500, 5000, 60),
    "D": (1, 10000, 32, 1500),
}

# Bytes of all arrays up to which they stay in the caches of most processors.
CACHED = 4 << 20
# Bytes of an array below which traffic is no limit of anything.
LEAST_LIMITED = 64 << 10


@dataclass(frozen=True)
class Case:
    loss: str
    shape: tuple
    family: str
    name: str
    # Arrays of this shape that are read and written.
    streams: int

    @property
    def bytes(self):
        return 4 * math.prod(self.shape) * self.streams

    @property
    def where(self):
        return "in cache" if self.bytes <= CACHED else "in memory"

    @property
    def limited(self):
        """Whether traffic over memory may be what takes the time."""
        computed = self.family in ("SDML", "products")
        return not computed and self.bytes >= LEAST_LIMITED * self.streams

    def inputs(self):
        """The arrays by their names, those that have gradients first."""
        random = np.random.default_rng(1)

        def normal(shape, scale=1.0):
            return random.standard_normal(shape, dtype=np.float32) * np.float32(scale)

        shape = self.shape
        if self.loss in ELEMENTWISE:
            return {"pred": normal(shape), "label": self.labels(random, normal)}
        if self.loss == "kl_div":
            log_probs = normal(shape)
            log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
            label = np.exp(normal(shape))
            label /= label.sum(axis=1, keepdims=True)
            return {"pred": log_probs, "label": label}
        if self.family == "softmax":
            labels = (shape[0], *shape[2:])
            classes = random.integers(0, shape[1], labels, dtype=np.int32)
            return {"pred": normal(shape, 2.0), "classes": classes}
        if self.loss == "triplet":
            return {name: normal(shape) for name in ("pred", "positive", "negative")}
        if self.loss == "cosine_embedding":
            signs = random.integers(0, 2, shape[0], dtype=np.int32) * 2 - 1
            return {"x1": normal(shape), "x2": normal(shape), "classes": signs}
        if self.family == "ctc":
            samples, _, classes = shape
            labels = CTC[self.name[-1]][3]
            # The blank is the last class.
            label = random.integers(0, classes - 1, (samples, labels), dtype=np.int32)
            return {"pred": normal(shape), "classes": label}
        # Embeddings near enough to be told apart only in part.
        return {"x1": normal(shape, 0.1), "x2": normal(shape, 0.1)}

    def labels(self, random, normal):
        if self.loss in SIGNED:
            return random.integers(0, 2, self.shape).astype(np.float32) * 2 - 1
        if self.loss == "sigmoid_bce":
            return random.integers(0, 2, self.shape).astype(np.float32)
        if self.loss == "poisson_nll":
            return random.integers(0, 6, self.shape).astype(np.float32)
        return normal(self.shape)


def case(loss, shape, family, streams, suffix=""):
    extents = ",".join(map(str, shape))
    return Case(loss, shape, family, f"{loss} ({extents}){suffix}", streams)


CASES = [
    *(case(loss, (64, 1024), "elementwise", 3) for loss in ELEMENTWISE),
    *(case(loss, (4096, 4096), "elementwise", 3) for loss in ELEMENTWISE),
    *(case("softmax_ce", shape, "softmax", 2) for shape in SOFTMAX),
    case("softmax_ce", (8, 21, 512, 512), "softmax", 2),
    case("kl_div", (4096, 1000), "kl_div", 3),
    *(case("triplet", shape, "embeddings", 6) for shape in EMBEDDINGS),
    *(case("cosine_embedding", shape, "embeddings", 4) for shape in EMBEDDINGS),
    *(case("sdml", shape, "SDML", 4) for shape in SDML),
    *(case("sdml_by_products", shape, "SDML", 4) for shape in SDML),
    *(case("ctc", shape[:3], "ctc", 2, f" {name}") for name, shape in CTC.items()),
    # No loss: a measure of what the processor can multiply.
    case("products", (4096, 512), "products", 2),
]

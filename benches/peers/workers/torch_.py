"""PyTorch: eager, or with `compile` as the second argument through torch.compile."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from serve import serve

# The factor from PyTorch's formula to the one that is compared: ½ (p − l)².
FACTORS = {"l2": 0.5}

ELEMENTWISE = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "huber": F.huber_loss,
    "hinge": lambda pred, label: F.relu(1 - pred * label).mean(),
    "squared_hinge": lambda pred, label: F.relu(1 - pred * label).square().mean(),
    "logistic": F.soft_margin_loss,
    "sigmoid_bce": F.binary_cross_entropy_with_logits,
    "poisson_nll": F.poisson_nll_loss,
    "kl_div": lambda pred, label: F.kl_div(pred, label, reduction="batchmean"),
}


def triplet(pred, positive, negative):
    difference = (positive - pred).square() - (negative - pred).square()
    return F.relu(difference.sum(1) + 1).mean()


def differences(x1, x2):
    return (x1[:, None] - x2[None]).square().sum(2)


def products(x1, x2):
    return x1.square().sum(1)[:, None] + x2.square().sum(1) - 2 * (x1 @ x2.T)


def sdml(distances, samples):
    gold = torch.eye(samples)
    shares = gold * 0.7 + (1 - gold) * 0.3 / (samples - 1)

    def loss(x1, x2):
        log_probs = F.log_softmax(-distances(x1, x2), 1)
        return F.kl_div(log_probs, shares, reduction="batchmean")

    return loss


def ctc(samples, frames, classes, labels):
    frames = torch.full((samples,), frames)
    labels = torch.full((samples,), labels)

    def loss(pred, label):
        log_probs = F.log_softmax(pred, 2)
        losses = F.ctc_loss(
            log_probs, label, frames, labels, blank=classes - 1, reduction="none"
        )
        return losses.mean()

    return loss


def problem(loss, inputs):
    """The loss, what has gradients, and what has none."""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    if loss in ELEMENTWISE:
        return ELEMENTWISE[loss], [tensors["pred"]], [tensors["label"]]
    if loss == "softmax_ce":
        return F.cross_entropy, [tensors["pred"]], [tensors["classes"].long()]
    if loss == "triplet":
        return triplet, list(tensors.values()), []
    if loss == "cosine_embedding":
        return F.cosine_embedding_loss, [tensors["x1"], tensors["x2"]], [tensors["classes"]]
    if loss in ("sdml", "sdml_by_products"):
        x1, x2 = tensors.values()
        distances = differences if loss == "sdml" else products
        return sdml(distances, len(x1)), [x1, x2], []
    if loss == "ctc":
        # Frames first is what F.ctc_loss takes.
        pred = tensors["pred"].transpose(0, 1).contiguous()
        label = tensors["classes"].long()
        frames, samples, classes = pred.shape
        return ctc(samples, frames, classes, label.shape[1]), [pred], [label]
    return None


class Torch:
    def __init__(self, compiled):
        self.compiled = compiled

    def prepare(self, loss, inputs):
        if loss == "products":
            if self.compiled:
                return None
            x, y = (torch.from_numpy(array) for array in inputs.values())
            return lambda: (x @ y.T, [])
        found = problem(loss, inputs)
        if found is None:
            return None
        function, inputs, labels = found
        if self.compiled:
            torch.compiler.reset()
            every = tuple(range(len(inputs)))
            both = torch.compile(torch.func.grad_and_value(function, every), dynamic=False)

            def step():
                gradients, value = both(*inputs, *labels)
                return value, gradients

            return step
        for tensor in inputs:
            tensor.requires_grad_()

        def step():
            value = function(*inputs, *labels)
            return value, torch.autograd.grad(value, inputs)

        return step

    def totals(self, loss, value, gradients):
        factor = FACTORS.get(loss, 1.0)
        gradient = sum(float(np.abs(g.numpy()).sum(dtype=np.float64)) for g in gradients)
        return factor * float(value.detach().double().mean()), factor * gradient


torch.set_num_threads(int(sys.argv[1]))
torch.set_num_interop_threads(1)
serve(Torch(compiled="compile" in sys.argv[2:]))

"""scikit-learn: the losses of its linear models and boosted trees, into given arrays."""

import sys

import numpy as np
from serve import serve
from sklearn._loss import loss as losses

ELEMENTWISE = {
    "l1": losses.AbsoluteError,
    "l2": losses.HalfSquaredError,
    "huber": lambda: losses.HuberLoss(delta=1.0),
    "logistic": losses.HalfBinomialLoss,
    "sigmoid_bce": losses.HalfBinomialLoss,
    "poisson_nll": losses.HalfPoissonLoss,
}


class Sklearn:
    def __init__(self, threads):
        self.threads = threads

    def prepare(self, loss, inputs):
        if loss == "products":
            x, y = inputs.values()
            return lambda: (x @ y.T, [])
        if loss in ELEMENTWISE:
            function = ELEMENTWISE[loss]()
            pred, label = inputs["pred"].ravel(), inputs["label"].ravel()
            if loss == "logistic":
                # From −1 and 1 to 0 and 1.
                label = (label + 1) / 2
        elif loss == "softmax_ce" and inputs["pred"].ndim == 2:
            pred, label = inputs["pred"], inputs["classes"].astype(np.float32)
            function = losses.HalfMultinomialLoss(n_classes=pred.shape[1])
        else:
            return None
        value, gradient = np.ones_like(label), np.ones_like(pred)

        def step():
            function.loss_gradient(
                label, pred, loss_out=value, gradient_out=gradient, n_threads=self.threads
            )
            return value, [gradient]

        return step

    def totals(self, _loss, value, gradients):
        gradient = sum(np.abs(g).sum(dtype=np.float64) for g in gradients)
        return value.mean(dtype=np.float64), gradient / value.size


serve(Sklearn(int(sys.argv[1])))

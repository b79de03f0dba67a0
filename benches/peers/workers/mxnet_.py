"""MXNet's Gluon, hybridized where it can be; gradients into the arrays that they are attached to.

The threads are those of OMP_NUM_THREADS.
"""

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from serve import serve

LOSSES = {
    "l1": gluon.loss.L1Loss,
    "l2": gluon.loss.L2Loss,
    "huber": gluon.loss.HuberLoss,
    "hinge": gluon.loss.HingeLoss,
    "squared_hinge": gluon.loss.SquaredHingeLoss,
    "logistic": gluon.loss.LogisticLoss,
    "sigmoid_bce": gluon.loss.SigmoidBCELoss,
    "poisson_nll": gluon.loss.PoissonNLLLoss,
    "kl_div": gluon.loss.KLDivLoss,
    "softmax_ce": lambda: gluon.loss.SoftmaxCELoss(axis=1),
    "triplet": gluon.loss.TripletLoss,
    "cosine_embedding": gluon.loss.CosineEmbeddingLoss,
    "sdml": gluon.loss.SDMLLoss,
    "ctc": lambda: gluon.loss.CTCLoss(layout="TNC"),
}


class MXNet:
    def prepare(self, loss, inputs):
        if loss not in LOSSES:
            return None
        function = LOSSES[loss]()
        if loss != "sdml":
            # SDMLLoss asks arrays for their shapes.
            function.hybridize(static_alloc=True, static_shape=True)
        if loss == "ctc":
            # The operator takes frames first.
            inputs["pred"] = inputs["pred"].transpose(1, 0, 2)
        # Labels too are floats, as Gluon has it.
        arrays = {name: mx.nd.array(array, dtype="float32") for name, array in inputs.items()}
        differentiated = [a for name, a in arrays.items() if name not in ("label", "classes")]
        for array in differentiated:
            array.attach_grad()
        mx.nd.waitall()

        def step():
            with autograd.record():
                value = function(*arrays.values())
            value.backward()
            mx.nd.waitall()
            return value, [array.grad for array in differentiated]

        return step

    def totals(self, _loss, value, gradients):
        value = value.asnumpy()
        gradient = sum(np.abs(g.asnumpy()).sum(dtype=np.float64) for g in gradients)
        return value.mean(dtype=np.float64), gradient / value.size


serve(MXNet())

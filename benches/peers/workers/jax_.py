"""JAX and optax, compiled as one function of loss and gradients.

The threads are those of the processors that it may run on, and of XLA_FLAGS.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from serve import serve


def mean(loss):
    return lambda *inputs: jnp.mean(loss(*inputs))


ELEMENTWISE = {
    "l1": mean(lambda pred, label: jnp.abs(pred - label)),
    "l2": mean(optax.l2_loss),
    "huber": mean(optax.huber_loss),
    "hinge": mean(optax.hinge_loss),
    "squared_hinge": mean(lambda pred, label: jnp.square(optax.hinge_loss(pred, label))),
    "logistic": mean(lambda pred, label: jax.nn.softplus(-label * pred)),
    "sigmoid_bce": mean(optax.sigmoid_binary_cross_entropy),
    "poisson_nll": mean(lambda pred, label: jnp.exp(pred) - label * pred),
    "kl_div": mean(optax.losses.kl_divergence),
}


@mean
def softmax_ce(pred, label):
    return optax.softmax_cross_entropy_with_integer_labels(pred, label, axis=1)


@mean
def triplet(pred, positive, negative):
    difference = jnp.square(positive - pred) - jnp.square(negative - pred)
    return jax.nn.relu(difference.sum(1) + 1)


@mean
def cosine_embedding(x1, x2, label):
    cosine = optax.losses.cosine_similarity(x1, x2, epsilon=1e-8)
    return jnp.where(label == 1, 1 - cosine, jax.nn.relu(cosine))


def differences(x1, x2):
    return jnp.square(x1[:, None] - x2[None]).sum(2)


def products(x1, x2):
    return jnp.square(x1).sum(1)[:, None] + jnp.square(x2).sum(1) - 2 * (x1 @ x2.T)


def sdml(distances):
    @mean
    def loss(x1, x2):
        samples = len(x1)
        shares = jnp.where(jnp.eye(samples, dtype=bool), 0.7, 0.3 / (samples - 1))
        log_probs = jax.nn.log_softmax(-distances(x1, x2), axis=1)
        return optax.losses.kl_divergence(log_probs, shares)

    return loss


@mean
def ctc(pred, label):
    none = jnp.zeros(pred.shape[:2]), jnp.zeros(label.shape)
    return optax.ctc_loss(pred, none[0], label, none[1], blank_id=pred.shape[2] - 1)


LOSSES = {
    **ELEMENTWISE,
    "softmax_ce": softmax_ce,
    "triplet": triplet,
    "cosine_embedding": cosine_embedding,
    "sdml": sdml(differences),
    "sdml_by_products": sdml(products),
    "ctc": ctc,
}


class Jax:
    def prepare(self, loss, inputs):
        if loss not in LOSSES:
            return None
        jax.clear_caches()
        differentiated = [i for i, name in enumerate(inputs) if name not in ("label", "classes")]
        both = jax.jit(jax.value_and_grad(LOSSES[loss], argnums=tuple(differentiated)))
        arrays = [jnp.array(array) for array in inputs.values()]
        return lambda: jax.block_until_ready(both(*arrays))

    def totals(self, _loss, value, gradients):
        gradient = sum(np.abs(np.asarray(g)).sum(dtype=np.float64) for g in gradients)
        return float(value), float(gradient)


serve(Jax())

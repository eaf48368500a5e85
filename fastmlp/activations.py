"""The activations a layer can have: one table of names and of what each implies for the rest of a network.

The formula of each stands in `fastmlp.reference`, its compiled form in `fastmlp.kernels.activations`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastmlp._checks import lookup


@dataclass(frozen=True)
class Activation:
    """What a network needs to know of an activation beside its formula.

    Parameters
    ----------
    name : str
        The name used in `Dense`, in saved models and in the tables of the reference and the kernels.
    weight_init : str
        The initialiser that a layer with this activation takes by default.
    output_loss : str
        The loss that follows from this activation on the last layer.
    mixes_units : bool
        True where one output depends on every unit of the layer (softmax), so that the derivative is a Jacobian.
    parameters : tuple of float
        Numbers that the formula takes, handed to its block functions; none of today's activations has any.
    """

    name: str
    weight_init: str = "glorot_uniform"
    output_loss: str = "mean_squared_error"
    mixes_units: bool = False
    parameters: tuple[float, ...] = ()


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("linear"),
        Activation("relu", weight_init="he_uniform"),
        Activation("sigmoid", output_loss="binary_crossentropy"),
        Activation("tanh"),
        Activation("softmax", output_loss="categorical_crossentropy", mixes_units=True),
    )
}


def resolve(activation: str | Activation) -> Activation:
    """The activation of that name, or the object itself.

    Raises
    ------
    ValueError
        If no activation has that name; the message lists those there are.
    TypeError
        If it is neither a name nor an `Activation`.
    """
    return lookup(activation, Activation, ACTIVATIONS, "activation")

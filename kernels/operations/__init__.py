"""Block operations: activations, losses, optimizers, dropout and random numbers."""

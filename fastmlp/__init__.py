"""Multi-layer perceptrons, trained fast on the CPU: compiled forward pass, backpropagation and optimizer."""

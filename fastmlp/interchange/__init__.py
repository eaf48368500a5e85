"""Conversion of networks: export to ONNX, C, PyTorch or scikit-learn, and import from PyTorch or scikit-learn.

Only what determines predictions is converted: layers, weights and activations. The state of the optimizer, counters and
penalties are not. The functions are also attributes of `fastmlp`:

- `fastmlp.to_onnx(net, "model.onnx")`, `fastmlp.to_c(net, "mlp.h")`,
- `fastmlp.to_torch(net)`, `fastmlp.from_torch(module)`,
- `fastmlp.to_sklearn(net)`, `fastmlp.from_sklearn(estimator)`, `fastmlp.register_with_skl2onnx()`.
"""

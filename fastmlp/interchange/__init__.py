"""Networks to and from other formats and frameworks: ONNX, C, PyTorch, scikit-learn.

Only predictions and parameters cross over: what an optimizer remembers, counters and penalties stay behind.
"""

"""The vocabulary in which the kernels are written: it emits LLVM instructions."""

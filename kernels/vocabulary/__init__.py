"""The vocabulary in which kernels are written. Its functions emit LLVM instructions.

In reading order:

- `simd`: vectors of lanes, and loops that carry them in registers;
- `pointers`: pointers that are moved, converted or null, and calls by address;
- `denormals`: the floating-point state that makes denormals 0;
- `arithmetic`: scalar constants, polynomials, FMA, exponents and signs;
- `loops`: a loop over elements that interleaves several vectors;
- `atomics`: communication between threads.
"""

"""The vocabulary in which kernels are written. Its functions emit LLVM instructions.

In reading order:

- `simd`: vectors of lanes, loops that carry them in registers, pointers, calls by address;
- `pointers`: null pointers;
- `arithmetic`: scalar constants, polynomials, FMA, exponents and signs;
- `loops`: a loop over elements that interleaves several vectors;
- `atomics`: communication between threads.
"""

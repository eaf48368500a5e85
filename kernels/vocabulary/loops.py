"""A loop over elements of which several vectors are on their way at once.

LLVM's vectoriser takes one vector after the other where a loop is long, and the processor then waits for the chain of
one exponential while it could work on the next: the number of vectors side by side is something it has to be told.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.vocabulary.simd import INT, INT32, has

# ns an element of 1, 2, 4 and 8. Float32: sigmoid 0.33, 0.29, 0.28, 0.29, tanh 0.33, 0.32, 0.30, 0.31; float64, whose
# polynomials are longer: sigmoid 0.90, 0.82, 0.81, 0.78, tanh 0.93, 0.86, 0.86, 0.81. As code for AVX2, which has half
# of the registers: float64 tanh 1.53, 1.43, 1.23, 1.23, gelu 2.3, 2.5, 2.2, 2.4.
_VECTORS = 4
_VECTORS_OF_DOUBLES = 8 if has("avx512f") else 4  # powers of two, or LLVM does as if nothing had been said


@intrinsic
def each(typing_context: Any, count: Any, element: Any, arguments: Any) -> Any:
    """`for i in range(count): element(i, *arguments)`, element under `@scalar`; among the arguments is a pointer."""
    real = next(kind.dtype for kind in arguments if isinstance(kind, types.CPointer))
    vectors = _VECTORS if real == types.float32 else _VECTORS_OF_DOUBLES
    chosen = typing_context.resolve_function_type(element, (types.intp, *arguments), {})

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        number, _, packed = values
        own = [builder.extract_value(packed, place) for place in range(len(arguments))]
        before, body, after = builder.block, builder.append_basic_block("each"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", number, INT(0)), body, after)
        builder.position_at_end(body)
        index = builder.phi(INT)
        index.add_incoming(INT(0), before)
        context.get_function(element, chosen)(builder, [index, *own])
        following = builder.add(index, INT(1), flags=["nsw"])
        index.add_incoming(following, builder.block)
        back = builder.cbranch(builder.icmp_signed("<", following, number), body, after)
        back.set_metadata("llvm.loop", _side_by_side(builder.module, vectors))
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(count, element, arguments), generate


def _side_by_side(module: Any, vectors: int) -> Any:
    """What LLVM reads off the branch back: a node that names itself first, as the loop's identity, then the wish."""
    wish = module.add_metadata([ir.MetaDataString(module, "llvm.loop.interleave.count"), INT32(vectors)])
    identity = ir.MDValue(module, [wish], name=str(len(module.metadata)))
    identity.operands = (identity, wish)
    return identity

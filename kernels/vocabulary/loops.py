"""A loop over elements of which several vectors are on their way at once.

LLVM's vectoriser takes one vector after the other where a loop is long, and the processor then waits for the chain of
one exponential while it could work on the next: the number of vectors side by side is something it has to be told.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.simd import INT, INT32


@intrinsic
def each(typing_context: Any, count: Any, element: Any, arguments: Any) -> Any:
    """`for i in range(count): element(i, *arguments)`, element under `@scalar`; among the arguments is a pointer."""
    real = next(kind.dtype for kind in arguments if isinstance(kind, types.CPointer))
    vectors = tuning(real.name).interleaved_vectors
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

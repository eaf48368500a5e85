"""A loop over elements that computes several vectors side by side.

If the body of a loop is long, LLVM's vectorizer computes one vector after the other. The processor then waits for the
latency of one exponential while it could work on the next. So the loop tells LLVM how many vectors to interleave.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from fastmlp.kernels.host.linking import intrinsic
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.simd import INT, INT32


@intrinsic
def interleaved_loop(typing_context: Any, count: Any, element: Any, arguments: Any) -> Any:
    """Run `for i in range(count): element(i, *arguments)`, several vectors of elements at once.

    `element` is a function under `@scalar`. The first pointer among the arguments gives the dtype, by which
    `kernels.processor` chooses how many vectors are interleaved.
    """
    real = next(kind.dtype for kind in arguments if isinstance(kind, types.CPointer))
    vectors = tuning(real.name).interleaved_vectors
    body_signature = typing_context.resolve_function_type(element, (types.intp, *arguments), {})

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        number, _, packed = values
        unpacked = [builder.extract_value(packed, i) for i in range(len(arguments))]
        before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed(">", number, INT(0)), body, after)
        builder.position_at_end(body)
        index = builder.phi(INT)
        index.add_incoming(INT(0), before)
        context.get_function(element, body_signature)(builder, [index, *unpacked])
        following = builder.add(index, INT(1), flags=["nsw"])
        index.add_incoming(following, builder.block)
        back = builder.cbranch(builder.icmp_signed("<", following, number), body, after)
        back.set_metadata("llvm.loop", _interleave_count(builder.module, vectors))
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(count, element, arguments), generate


def _interleave_count(module: Any, vectors: int) -> Any:
    """Return the metadata for the branch of a loop: a node that identifies it by referring to itself, and the count."""
    count = module.add_metadata([ir.MetaDataString(module, "llvm.loop.interleave.count"), INT32(vectors)])
    loop = ir.MDValue(module, [count], name=str(len(module.metadata)))
    loop.operands = (loop, count)
    return loop

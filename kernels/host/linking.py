"""How Numba's compiler is used: functions remain intermediate code until they are linked into a kernel.

Numba by itself makes machine code of every function, and optimizes it again in each function that calls it. The
functions under `@inline` and `@scalar` never run alone, so that is not done here: a kernel and all that it calls are
optimized and translated once, together. A cold first fit compiles 11 kernels, which consist of some 60 functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import binding, ir
from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.runtime import rtsys
from numba.core.types.misc import unliteral

# Passes for what the sources of this package do not contain: closures within functions, `with`, loops over tuples of
# several types, raised errors, arrays, and code in functions of Numba to inline.
UNNEEDED_PASSES = {
    "DeadBranchPrune",
    "DumpParforDiagnostics",
    "FindLiterallyCalls",
    "GenericRewrites",
    "InlineClosureLikes",
    "InlineInlinables",
    "InlineOverloads",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation",
    "NopythonRewrites",
    "RewriteDynamicRaises",
    "RewriteSemanticConstants",
    "WithLifting",
}


class FunctionLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The intermediate code of a function and of all that it calls, for kernels to link. It has no machine code."""

    def add_linking_library(self, library: Any) -> None:
        """Add a function that this one calls; Numba adds its reference counting too, which kernels do not use."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    def finalize(self) -> None:
        """Link what was added. Any number of copies of these functions may meet in one kernel."""
        self._raise_if_finalized()
        self._link()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == binding.Linkage.external:
                function.linkage = "linkonce_odr"
        self._shared_module = self._final_module
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0, by which Numba knows that a library has no such function."""
        return 0

    def _optimize_functions(self, module: Any) -> None:
        """Leave the code as it is: it is optimized within the kernels."""
        module.data_layout = self._codegen._data_layout

    def _link(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)


class KernelLibrary(FunctionLibrary):
    """The intermediate code of a kernel, and its machine code."""

    def machine_code(self, entry: str, name: str) -> bytes:
        """Return an object file in which the function `entry` of the kernel is visible, by another name, and no other.

        Numba's names of functions are unique in a process, while object files of many processes are loaded into one.
        """
        self._link()
        module = self._final_module
        for symbol in (*module.functions, *module.global_variables):
            if not symbol.is_declaration and symbol.name != entry:
                symbol.linkage = "internal"
        module.get_function(entry).name = name
        self._optimize_final_module()
        module.verify()
        code: bytes = self._codegen._tm.emit_object(module)
        return code


class _OwnCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler of a function, with a library of ours, and without machine code or wrappers for Python."""

    library: type[FunctionLibrary]

    def __init__(
        self, typing: Any, target: Any, _library: Any, arguments: Any, result: Any, flags: Any, local: Any
    ) -> None:
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        library = self.library(target.codegen(), "fastmlp")
        super().__init__(typing, target, library, arguments, result, flags, local)

    def define_pipelines(self) -> list[PassManager]:
        """Return the passes of Numba that our sources need."""
        pipelines = super().define_pipelines()
        if not self.state.flags.auto_parallel.enabled:
            for pipeline in pipelines:
                pipeline.passes = [entry for entry in pipeline.passes if entry[0].__name__ not in UNNEEDED_PASSES]
                pipeline.finalize()
        return pipelines


class FunctionCompiler(_OwnCompiler):
    """The compiler of functions that kernels call."""

    library = FunctionLibrary

    def compile_extra(self, function: Any) -> Any:
        """Compile a function, and tell Numba what to link where it is called."""
        compiled = super().compile_extra(function)
        described = compiled.fndesc
        # Numba knows a compiled function by an object of this type, which here must not be called.
        key = _dynfunc.make_function(described.lookup_module(), described.qualname, "", 0, compiled.environment, ())
        self.state.targetctx.insert_user_function(key, described, [compiled.library])
        return compiled._replace(entry_point=key)


class KernelCompiler(_OwnCompiler):
    """The compiler of kernels."""

    library = KernelLibrary

    def compile_extra(self, function: Any) -> Any:
        """Compile a kernel, and add a function with the parameters of C that calls it.

        Numba's function of that kind also prints errors that the kernel raised. The kernels of this package raise none.
        """
        compiled = super().compile_extra(function)
        described, context = compiled.fndesc, self.state.targetctx
        module, convention = context.create_module("entry"), context.call_conv
        kinds = [context.get_value_type(kind) for kind in described.argtypes]
        kernel_type = convention.get_function_type(described.restype, described.argtypes)
        kernel = ir.Function(module, kernel_type, described.llvm_func_name)
        entry_type = ir.FunctionType(context.get_value_type(described.restype), kinds)
        entry = ir.Function(module, entry_type, described.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(entry.append_basic_block())
        _, result = convention.call_function(builder, kernel, described.restype, described.argtypes, entry.args)
        builder.ret(result)
        compiled.library.add_ir_module(module)
        return compiled


class FunctionDispatcher(CPUDispatcher):  # type: ignore[misc]
    """What Numba sees of a function that kernels call."""

    def get_call_template(self, arguments: Any, named: Any) -> Any:
        """Compile for the types of the arguments, and not again for constants: LLVM follows those by itself."""
        plain = tuple(unliteral(kind) for kind in arguments)
        return super().get_call_template(plain, {name: unliteral(kind) for name, kind in named.items()})


class Function:
    """A function that kernels call. Numba learns of it when a kernel that calls it is compiled."""

    def __init__(self, function: Any, **options: Any) -> None:
        self.py_func = function
        self._options = {**options, "nopython": True}
        self._dispatcher: FunctionDispatcher | None = None

    @property
    def _numba_type_(self) -> Any:
        """Numba asks for this attribute of an object that it does not know."""
        if self._dispatcher is None:
            self._dispatcher = FunctionDispatcher(
                self.py_func, targetoptions=self._options, pipeline_class=FunctionCompiler
            )
        return self._dispatcher._numba_type_


class Intrinsic:
    """A function that emits LLVM's instructions. Numba learns of it when a kernel that uses it is compiled.

    `numba.extending.intrinsic` tells Numba at once, which would take 0.01 s of a process that only loads kernels.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    @property
    def _numba_type_(self) -> Any:
        context = cpu_target.typing_context
        if self._made is None:
            self._made = numba.extending.intrinsic(self._make())
            context.refresh()
        return context.resolve_value_type(self._made)


def intrinsic(definition: Any) -> Any:
    """Make an intrinsic of Numba: `definition` takes the types of the arguments, and returns how to emit the code."""
    made: Any = Intrinsic(lambda: definition)
    return functools.update_wrapper(made, definition)

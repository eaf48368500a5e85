"""A competitor in a process of its own, which does one short round on request.

Most libraries fix their number of threads when they are loaded, so each number of threads is a process too. One worker
runs at a time; the others wait at a pipe. The idle threads of a library spin for a while before they sleep: 100 ms with
OpenBLAS (the reference, scikit-learn), 32 ms with ONNX Runtime, 4 ms with PyTorch, and not at all with JAX and fastmlp.
Therefore a pause of `REST` seconds follows each round.

`Worker` starts the process and sends requests; `main` runs in the process.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import isa
from bench.peers import Competitor, Unavailable
from bench.workloads import Workload

ROOT = Path(__file__).parent.parent
REST = 0.12  # seconds after a round on several threads
PATIENCE = 300.0  # seconds for an answer; the longest wait is for torch.compile, 30 s on 2 cores


def processors() -> list[int]:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Worker:
    """A worker process, seen from the process that started it.

    Parameters
    ----------
    job : str
        "Training", "Prediction" or "Calls", a class of this module.
    competitor : Competitor
        The library, and the variant of its use.
    workload : Workload
        The network and its data.
    threads : int, optional
        The number of threads; None means all.
    """

    def __init__(self, job: str, competitor: Competitor, workload: Workload, threads: int | None) -> None:
        # os.environ has the variables of a limit, if there is one (bench/isa.py).
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        if threads:
            environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
            flags = environment.get("XLA_FLAGS", "")
            environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        task = {
            "job": job,
            "module": competitor.module,
            "way": competitor.way,
            "threads": threads,
            "workload": vars(workload),
        }
        command = [sys.executable, "-m", "bench.worker", json.dumps(task)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process: Any = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        self.who, self._late = f"{competitor}, {threads_text(threads)}", False

    def ask(self, method: str, *arguments: Any) -> None:
        """Send a request; `answer` waits for the result."""
        pickle.dump((method, arguments), self._process.stdin)
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the result of a request; the first answer means that the worker is ready.

        Raises
        ------
        Unavailable
            If the competitor lacks something, or takes longer than `PATIENCE`.
        RuntimeError
            If the worker fails.
        """
        timer = threading.Timer(PATIENCE, self._give_up)
        timer.start()
        try:
            kind, content = pickle.load(self._process.stdout)
        except EOFError:
            if self._late:
                raise Unavailable(f"{self.who}: took longer than {PATIENCE:.0f} s") from None
            raise RuntimeError(f"{self.who}: the process ended with {self._process.wait()}") from None
        finally:
            timer.cancel()
        if kind == "unavailable":
            raise Unavailable(f"{self.who}: {content}")
        if kind == "failed":
            raise RuntimeError(f"{self.who}:\n{content}")
        return content

    def do(self, method: str, *arguments: Any) -> Any:
        """Send a request and return its result."""
        self.ask(method, *arguments)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()


def threads_text(threads: int | None) -> str:
    """Return the name of a number of threads in the tables."""
    return "all threads" if threads is None else f"{threads} thread" + "s" * (threads > 1)


# In the process -------------------------------------------------------------------------------------------------------


class Job:
    """Work that is repeated in turns.

    Parameters
    ----------
    count : int
        The number of steps, or calls, of one turn.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._seconds = 0.0  # of a turn

    def turns(self, count: int) -> None:
        raise NotImplementedError

    def round(self, seconds: float) -> float:
        """Do turns for about so many seconds, at least one, and return the seconds of one step or call."""
        turns = max(1, round(seconds / self._seconds)) if self._seconds else 1
        started = time.perf_counter()
        self.turns(turns)
        self._seconds = (time.perf_counter() - started) / turns
        return self._seconds / self._count


class Training(Job):
    """Training: a turn is an epoch."""

    def __init__(self, module: Any, workload: Workload, threads: int | None, **way: str) -> None:
        super().__init__(workload.steps)
        self._train = module.trainer(workload, threads, **way)
        self._epochs = 0

    def turns(self, count: int) -> None:
        self.losses(count)

    def losses(self, epochs: int) -> list[float]:
        """Train and return, for each epoch, the mean loss of its steps."""
        self._epochs += epochs
        return [float(loss) for loss in self._train(epochs)]

    def grow(self, age: int) -> None:
        """Train until `age` epochs are done."""
        self.turns(max(1, age - self._epochs))

    def peak_memory(self) -> int:
        """Return the peak memory of this process, in bytes."""
        status = Path("/proc/self/status")
        if status.exists():  # ru_maxrss would remember the parent's memory, of which Linux starts a child as a copy
            return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class Prediction(Job):
    """Prediction: a turn is a call."""

    def __init__(self, module: Any, workload: Workload, threads: int | None, **way: str) -> None:
        super().__init__(1)
        self._predict = module.predictor(workload, threads, **way)

    def turns(self, count: int) -> None:
        predict = self._predict
        for _ in range(count):
            predict()

    def outputs(self) -> Any:
        """Return the predictions."""
        return np.asarray(self._predict())


class Calls(Job):
    """Single calls from Python, with NumPy's arrays: a turn is a call."""

    def __init__(self, module: Any, workload: Workload, threads: int | None, way: str) -> None:
        super().__init__(1)
        self._call = module.caller(workload, threads, way)

    def turns(self, count: int) -> None:
        call = self._call
        for _ in range(count):
            call()

    def result(self) -> Any:
        """Call once and return the result."""
        return self._call()


def main(task: dict[str, Any]) -> None:
    """Answer the requests on standard input until it is closed."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    job: Any = None

    def reply(work: Callable[[], Any]) -> None:
        try:
            answer = ("done", work())
        except Unavailable as reason:
            answer = ("unavailable", str(reason))
        except Exception:
            answer = ("failed", traceback.format_exc())
        pickle.dump(answer, replies)
        replies.flush()

    def start() -> None:
        nonlocal job
        threads, way = task["threads"], {"way": task["way"]} if task["way"] else {}
        if threads and hasattr(os, "sched_setaffinity"):
            # JAX uses every processor that it may. The first one is left out, because it serves interrupts.
            os.sched_setaffinity(0, processors()[-threads:])
        module = importlib.import_module(f"bench.peers.{task['module']}")
        workload = Workload(**{**task["workload"], "sizes": tuple(task["workload"]["sizes"])})
        jobs: dict[str, Any] = {"Training": Training, "Prediction": Prediction, "Calls": Calls}
        job = jobs[task["job"]](module, workload, threads, **way)
        isa.confirm(task["module"], task["way"])  # now that all libraries are loaded

    reply(start)
    while job is not None:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        reply(lambda: getattr(job, method)(*arguments))  # noqa: B023


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

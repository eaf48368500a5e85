"""One thread for BLAS while something runs whose bits must not depend on the number of its threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_lock = threading.Lock()
_users = 0
_limit: Any = None


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS to one thread. The limit holds for the process, from the first user's entry to the last one's exit.

    Two limits that overlap would each restore what it found, and the second found one thread.
    """
    import threadpoolctl

    global _users, _limit
    with _lock:
        if not _users:
            _limit = threadpoolctl.threadpool_limits(1, "blas")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limit.restore_original_limits()

"""The same step for many nodes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_WORKERS = 4  # more do not help: Docker's engine is busy with two already
T = TypeVar("T")


def for_each_parallel(items: Iterable[T], action: Callable[[T], object]) -> None:
    """Does the same to several at once; the first error is raised when all have been tried."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done in [pool.submit(action, item) for item in items]:
            done.result()

"""Reading ahead: a thread makes the next item while the one before is used."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 1.0  # seconds that the end of a run waits for a reader that is in the user's code


class _End:
    """What comes after the last item, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Gives the items of an iterator, which another thread draws; no more than `slots` at a time.

    The item being used is one of them: it is given back when the next is asked for, and only then
    may the iterator be asked for one more. So an iterator with `slots` places to write to can take
    them in turn. Order and values are the iterator's own, whatever the timing.

    Used in a ``with`` block, whose end stops the thread.

    Examples
    --------
    >>> from chainrule.data.prefetch import Ahead
    >>> with Ahead(iter(range(4)), slots=2) as items:
    ...     print(list(items))
    [0, 1, 2, 3]
    """

    def __init__(self, items: Iterator[T], slots: int = 2) -> None:
        self._items = items
        self._free = threading.Semaphore(slots)
        self._ready: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self._used = self._over = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="chainrule-reader", daemon=True)

    def __enter__(self) -> Ahead[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._free.release()
        # A reader that waits for something that never comes must not hold up the end of the run.
        self._thread.join(_PATIENCE)

    def __iter__(self) -> Ahead[T]:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        if self._used:
            self._free.release()
        item = self._ready.get()
        if isinstance(item, _End):
            self._over = True
            if item.error is not None:
                raise item.error
            raise StopIteration
        self._used = True
        return item

    def _read(self) -> None:
        end = _End()
        try:
            while self._free.acquire() and not self._stopped.is_set():
                self._ready.put(next(self._items))
        except StopIteration:
            pass
        except BaseException as error:
            end = _End(error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            self._ready.put(end)


@contextlib.contextmanager
def drawn(items: Iterator[T], slots: int) -> Generator[Iterator[T], None, None]:
    """Yield the items, drawn ahead by a thread if `slots` is more than one; closed at the end."""
    if slots > 1:
        with Ahead(items, slots) as ahead:
            yield ahead
        return
    try:
        yield items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()

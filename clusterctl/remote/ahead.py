"""What is begun before anybody asks for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def begin(act: Callable[[], _T], name: str) -> Future[_T]:
    """Do ``act`` in a thread of its own, called ``name``, and return what will come of it, an error too.

    Unlike an executor's threads it holds up nobody who leaves: a host that is silent is not waited for.
    """
    future: Future[_T] = Future()

    def do() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, name=name, daemon=True).start()
    return future

"""Values that must not be shown, and taking them out of texts that somebody else wrote."""

import re
import threading

_HIDDEN = "***"
# What a program may print although nobody asked: bootstrap tokens and certificate keys of kubeadm.
_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")
_CERTIFICATE_KEY = re.compile(r"(--certificate-key[ =]|certificateKey: *)[0-9a-f]{64}")
# A shorter value may be a part of ordinary words; it is hidden where it stands alone.
_LONG = 6

_revealed: set[str] = set()
_lock = threading.Lock()


class Secret:
    """A token, key or password: it cannot be printed, formatted, rendered or compared by accident.

    ``reveal()`` is the one way to its value, for what sends it through standard input or writes it to a file
    of mode 0600.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value. From now on ``redact`` knows it, since it may come back in what a host says."""
        with _lock:
            _revealed.add(self._value.strip())
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{_HIDDEN}')"

    def __str__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        return format(_HIDDEN, spec)


def redact(text: str) -> str:
    """``text`` without every secret that this process has revealed, and without what looks like one of kubeadm's."""
    with _lock:
        values = sorted(filter(None, _revealed), key=len, reverse=True)
    for value in values:
        if len(value) >= _LONG:
            text = text.replace(value, _HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _HIDDEN, text)
    return _CERTIFICATE_KEY.sub(rf"\1{_HIDDEN}", _TOKEN.sub(_HIDDEN, text))

"""A value that must not be shown."""


class Secret:
    """A token, key or password: it cannot be printed, formatted, rendered or compared by accident.

    ``reveal()`` is the one way to its value, for what sends it through standard input or writes it to a file
    of mode 0600.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

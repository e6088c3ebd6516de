"""What is asked of rows, as SQL. It holds what is asked and no more, so that its plan can use an index."""

from collections.abc import Sequence
from typing import Any


class Conditions:
    """Conditions that must all hold, with the numbered arguments of their statement."""

    def __init__(self, *arguments: Any) -> None:
        """``arguments`` are those of the statement around them: ``$1`` and so on."""
        self.arguments: list[Any] = list(arguments)
        self._conditions: list[str] = []

    def hold(self, condition: str, *values: Any) -> None:
        """Ask for this. Each ``{}`` in it stands for the number of one of the values."""
        first = len(self.arguments) + 1
        self._conditions.append(condition.format(*range(first, first + len(values))))
        self.arguments += values

    def hold_given(self, asked: Sequence[tuple[str, Any]]) -> None:
        """Ask for each of these whose value is not None."""
        for condition, value in asked:
            if value is not None:
                self.hold(condition, value)

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"

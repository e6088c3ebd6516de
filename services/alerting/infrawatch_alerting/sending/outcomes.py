"""What became of an attempt to send something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not arrive, as far as is known. ``detail`` is a sentence for people, without secrets."""

    detail: str


Outcome = Delivered | Failed

"""Which passwords are taken: long ones that are hard to guess. No rules of composition, which make passwords worse."""

from dataclasses import dataclass

MAX_LENGTH = 256


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """``min_strength`` is a score from 0 (guessed in a moment) to 4 (out of reach), as zxcvbn defines it."""

    min_length: int
    min_strength: int

    def objection(self, password: str, strength: int) -> str | None:
        """Why a password of this strength is not taken, or None."""
        if len(password) < self.min_length:
            return f"should have at least {self.min_length} characters"
        if len(password) > MAX_LENGTH:
            return f"should have at most {MAX_LENGTH} characters"
        if strength < self.min_strength:
            return "is too easy to guess: common, repetitive, or made of your address; a few unrelated words are better"
        return None

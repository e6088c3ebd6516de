"""What ``infrawatch-agent check`` says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and found; a bad one says what to do."""

    what: str
    found: str
    remedy: str | None = None  # None when all is well

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return self.remedy is None

    def __str__(self) -> str:
        if self.remedy is None:
            return f"ok    {self.what}: {self.found}"
        return f"BAD   {self.what}: {self.found}. {self.remedy}"

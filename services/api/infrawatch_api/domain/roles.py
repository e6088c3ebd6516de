"""Who may do what: three roles, each allowed everything that the one before is."""

from enum import StrEnum


class Role(StrEnum):
    """A role of a user or of an API token, from the least to the most powerful."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, required: "Role") -> bool:
        """Whether this role may do what needs ``required``."""
        return _RANK[self] >= _RANK[required]


_RANK = {role: rank for rank, role in enumerate(Role)}


def weaker(one: Role, other: Role) -> Role:
    """The role that both allow: a token never has more power than its owner has now."""
    return one if other.allows(one) else other

"""What the audit log tells of: a closed list, so that it can be searched for."""

from enum import StrEnum


class Action(StrEnum):
    """Every action in the audit log."""

    LOGIN = "login"
    LOGIN_FAILED = "login.failed"
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_REFUSED = "password.refused"  # noqa: S105 - the current password given for a change was wrong
    DENIED = "denied"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DELETED = "user.deleted"
    TOKEN_CREATED = "token.created"  # noqa: S105
    TOKEN_DELETED = "token.deleted"  # noqa: S105
    ENROLMENT_CREATED = "enrolment.created"
    ENROLMENT_DELETED = "enrolment.deleted"
    ENROLMENT_CLAIMED = "enrolment.claimed"
    ENROLMENT_REFUSED = "enrolment.refused"
    HOST_KEY_ROTATED = "host_key.rotated"
    HOST_KEY_CONFIRMED = "host_key.confirmed"
    HOST_KEY_REFUSED = "host_key.refused"
    HOST_CHANGED = "host.changed"
    HOST_RETIRED = "host.retired"
    HOST_PURGED = "host.purged"
    ALERT_CREATED = "alert.created"
    ALERT_CHANGED = "alert.changed"
    ALERT_DELETED = "alert.deleted"
    CHANNEL_CREATED = "channel.created"
    CHANNEL_CHANGED = "channel.changed"
    CHANNEL_DELETED = "channel.deleted"
    CHANNEL_SECRET_REPLACED = "channel.secret_replaced"  # noqa: S105
    CHANNEL_TESTED = "channel.tested"
    SILENCE_CREATED = "silence.created"
    SILENCE_CHANGED = "silence.changed"
    SILENCE_ENDED = "silence.ended"
    DELIVERY_RESENT = "delivery.resent"
    DRIFT_TRIAGED = "drift.triaged"
    DRIFT_BASELINE_CREATED = "drift_baseline.created"
    DRIFT_BASELINE_ENDED = "drift_baseline.ended"
    DRIFT_IGNORE_CREATED = "drift_ignore.created"
    DRIFT_IGNORE_DELETED = "drift_ignore.deleted"
    DEAD_LETTER_READ = "dead_letter.read"

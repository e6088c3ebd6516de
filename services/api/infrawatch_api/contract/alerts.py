"""Alerts, which are the rules, and alert events, which are what they did."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from infrawatch_api.contract.common import ABSENT, Body, Duration, HostIdText, Name, Tags
from infrawatch_api.domain.diagnosis import DiagnosisKind
from infrawatch_common.alerts.rules import Comparison, Metric, Severity

Threshold = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Version = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class AlertRule(msgspec.Struct, frozen=True):
    """What a rule says. It is for the host ``host_id``, or for every host whose tags have all pairs of ``selector``;
    the other of the two is null. ``duration`` is ISO 8601. Without ``clear_threshold`` the threshold counts both ways.
    """

    name: str
    host_id: str | None
    selector: dict[str, str] | None
    metric: Metric
    comparison: Comparison
    threshold: float | None
    clear_threshold: float | None
    duration: str
    severity: Severity
    enabled: bool


class Alert(AlertRule, frozen=True):
    """A rule. ``version`` is one more with each change; the latest was at ``changed_at``. ``created_by`` is an email
    address, null once that user is deleted. ``log`` holds the latest events; the whole history is in alert events.
    """

    id: UUID
    version: int
    created_at: datetime
    changed_at: datetime
    created_by: str | None
    last_triggered: datetime | None
    log: list[dict[str, Any]]


class NewAlert(Body):
    """A rule to create, for one host or for all that ``selector`` matches: ``{}`` for every host. A heartbeat has no
    threshold; ``duration`` is then how long a host may be silent.
    """

    name: Name
    host_id: HostIdText | None = None
    selector: Tags | None = None
    metric: Metric
    comparison: Comparison = Comparison.AT_LEAST
    threshold: Threshold | None = None
    clear_threshold: Threshold | None = None
    duration: Duration
    severity: Severity = Severity.WARNING
    enabled: StrictBool = True


class AlertChange(Body):
    """What to change about a rule; fields that are absent stay as they are, and null takes a value away. With
    ``version`` the change is refused (409) when the rule has another one by now.
    """

    name: Name = ABSENT
    host_id: HostIdText | None = None
    selector: Tags | None = None
    metric: Metric = ABSENT
    comparison: Comparison = ABSENT
    threshold: Threshold | None = None
    clear_threshold: Threshold | None = None
    duration: Duration = ABSENT
    severity: Severity = ABSENT
    enabled: StrictBool = ABSENT
    version: Version = ABSENT

    @model_validator(mode="after")
    def _something(self) -> "AlertChange":
        if not self.given():
            msg = "should name at least one field to change"
            raise ValueError(msg)
        return self

    def given(self) -> dict[str, Any]:
        """The fields to change, null among them."""
        return {name: getattr(self, name) for name in self.model_fields_set - {"version"}}

    def expected_version(self) -> int | None:
        """The version that is to be changed, None for any."""
        return self.version if "version" in self.model_fields_set else None


class FieldChange(msgspec.Struct, frozen=True):
    """A field's value in the version before, and in this one."""

    before: Any
    after: Any


class AlertVersion(msgspec.Struct, frozen=True):
    """A rule as it was from ``changed_at`` on, and how it differs from the version before. ``changed_by`` is an email
    address, null once that user is deleted.
    """

    version: int
    changed_at: datetime
    changed_by: str | None
    changes: dict[str, FieldChange]
    rule: AlertRule


class AlertEvent(msgspec.Struct, frozen=True):
    """One time that a rule fired for a host. ``name`` to ``severity`` are the rule's in that version. By the samples'
    own times it was true from ``since`` on, and at ``fired_at`` for as long as the rule asks; ``found_at`` is
    by the server's clock. ``value`` is null for a heartbeat. While it fires, ``resolved_at`` and what follows are null.
    """

    id: UUID
    alert_id: UUID
    version: int
    host_id: str
    name: str
    metric: Metric
    comparison: Comparison
    threshold: float | None
    severity: Severity
    since: datetime
    fired_at: datetime
    value: float | None
    found_at: datetime
    late: bool
    resolved_at: datetime | None
    resolved_value: float | None
    resolved_reason: str | None


class DiagnosisSeen(msgspec.Struct, frozen=True):
    """What a diagnosis was concluded from: samples stamped inside the silence that came later, the first and the last
    of them, and records refused meanwhile, by reason. ``found_after`` is the seconds from firing to being found,
    ``clock_skew`` the seconds that the host's clock is ahead now, null where that is not known.
    """

    back_filled: int
    first_at: datetime | None
    last_at: datetime | None
    refused: dict[str, int]
    found_after: float
    clock_skew: float | None


class Diagnosis(msgspec.Struct, frozen=True):
    """Why a heartbeat fired, by what is stored now: silent (the host or its agent), unreachable (alive, without the
    broker), our_lag (alerting was down or behind), clock_skew or cloned; and why so.
    """

    kind: DiagnosisKind
    because: str
    seen: DiagnosisSeen


class DiagnosedAlertEvent(AlertEvent, frozen=True):
    """An alert event. A heartbeat's has a ``diagnosis``; it can change while records of that time still come."""

    diagnosis: Diagnosis | None

"""Previews of alerts: what a rule that is not saved would have done."""

from dataclasses import fields
from datetime import timedelta

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.previews import (
    NewPreview,
    Preview,
    PreviewCombination,
    PreviewCount,
    PreviewEvent,
    PreviewHost,
)
from infrawatch_api.domain.alert_rules import Definition, as_rule, defined, objections
from infrawatch_api.domain.buckets import Range
from infrawatch_api.domain.durations import iso_8601
from infrawatch_api.domain.preview_tally import Count
from infrawatch_api.domain.previews import check_hosts, check_size, lead, preview_range, sweep
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.preview_worker import Done, Job
from infrawatch_api.problems import invalid, invalid_fields
from infrawatch_api.store import previews, samples
from infrawatch_common.alerts.rules import Rule


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_200_OK,
    operation_id="previewAlert",
    summary="What a rule would have done",
)
async def preview_alert(data: JSONBody[NewPreview], api: ApiDependency) -> Preview:
    """Runs a rule that is not saved over the stored samples of the hosts in service that it is for now, by the decision
    that alerting makes, and with `sweep` every combination of thresholds and durations too. It tells nothing about
    time from before the samples that are kept: hourly figures do not say how long a value lasted. Too much at once is
    refused (400), too many previews at a time as well (503).
    """
    definition = defined({field.name: getattr(data, field.name) for field in fields(Definition)})
    longest = timedelta(seconds=api.settings.alert_duration_max)
    if found := objections(definition, longest):
        raise invalid_fields(found)
    asked = as_rule(definition)
    tried = data.sweep
    combinations = sweep(asked, tried.thresholds, tried.times, longest, api.settings.preview_sweep_max) if tried else []
    async with api.database.connection() as connection:
        covered = preview_range(data.start, data.end, api.clock(), await samples.raw_from(connection))
        most = api.settings.query_hosts_max
        matching = await previews.matching(connection, definition.host_id, definition.selector, most + 1)
    if definition.host_id is not None and not matching.hosts:
        raise invalid("host_id", "should be the id of a host in service")
    check_hosts(len(matching.hosts), most)
    done = await _work_out(api, matching, [asked, *combinations], covered)
    return _preview(covered, len(matching.hosts), combinations, done)


async def _work_out(api: Api, matching: previews.Matching, rules: list[Rule], covered: Range) -> Done:
    settings = api.settings
    interval = timedelta(seconds=settings.reporting_interval)
    check_size(len(matching.hosts), covered, lead(rules), interval, settings.preview_samples_max)
    if not matching.hosts:
        return Done(0, [Count() for _ in rules], [], [])
    return await api.previews.run(
        Job(
            database_url=str(settings.database_url),
            database_password=settings.database_password.get_secret_value(),
            timeout=settings.preview_timeout,
            hosts=matching.hosts,
            of=matching.of,
            rules=rules,
            start=covered.start,
            end=covered.end,
            interval=interval,
            samples_max=settings.preview_samples_max,
            events_max=settings.preview_events_max,
        )
    )


def _preview(covered: Range, hosts: int, combinations: list[Rule], done: Done) -> Preview:
    total, *others = msgspec.convert(done.counts, list[PreviewCount], from_attributes=True)
    return Preview(
        start=covered.start,
        end=covered.end,
        hosts=hosts,
        samples=done.samples,
        total=total,
        by_host=msgspec.convert(done.hosts, list[PreviewHost], from_attributes=True),
        events=msgspec.convert(done.events, list[PreviewEvent], from_attributes=True),
        events_omitted=total.events + total.ongoing - len(done.events),
        sweep=[
            PreviewCombination(
                **msgspec.structs.asdict(count),
                threshold=rule.threshold,
                clear_threshold=rule.clear_threshold,
                duration=iso_8601(rule.duration),
            )
            for rule, count in zip(combinations, others, strict=True)
        ],
    )


router = Router("/alerts/preview", route_handlers=[preview_alert], tags=["alerts"])

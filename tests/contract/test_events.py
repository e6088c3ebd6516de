"""Producers, consumers and the published schemas agree on every record."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from event_schemas import SCHEMAS, validator
from infrawatch_agent import records as agent
from infrawatch_agent.domain.signing import sign
from infrawatch_common.events import (
    HostKey,
    MetricRecord,
    Rejection,
    SnapshotRecord,
    check_signature,
    decode,
)
from infrawatch_common.events.published import AlertEvent, DriftEvent

MODELS: dict[str, type[BaseModel]] = {
    "metrics.v1": MetricRecord,
    "snapshots.v1": SnapshotRecord,
    "alert-events.v1": AlertEvent,
    "drift-events.v1": DriftEvent,
}
EXAMPLES = sorted((SCHEMAS / "examples").glob("*/*/*.json"))


VALIDATORS = {kind: validator(kind) for kind in MODELS}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}-{path.stem}")
def test_code_and_schema_judge_every_example_as_its_folder_says(path: Path) -> None:
    kind, verdict = path.parts[-3], path.parts[-2]
    value = path.read_bytes()
    taken_by_code = not isinstance(decode(MODELS[kind], value), Rejection)
    taken_by_schema = VALIDATORS[kind].is_valid(json.loads(value))
    assert (taken_by_code, taken_by_schema) == (verdict == "valid", verdict == "valid")


def test_there_are_examples_of_both_kinds_for_every_record() -> None:
    assert {(path.parts[-3], path.parts[-2]) for path in EXAMPLES} == {
        (kind, verdict) for kind in MODELS for verdict in ("valid", "invalid")
    }


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
percents = st.floats(0, 100)
stamps = st.builds(agent.AgentStamp, instance=st.uuids(), sequence=st.integers(0, 2**53 - 1))
host_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
samples = st.builds(
    agent.MetricRecord,
    id=st.uuids(),
    host_id=host_ids,
    timestamp=times,
    cpu=percents,
    memory=percents,
    disk=percents,
    uptime=st.integers(0, 2**31 - 1),
    agent=stamps,
)
snapshots = st.builds(
    agent.SnapshotRecord,
    id=st.uuids(),
    host_id=host_ids,
    timestamp=times,
    os_info=names,
    kernel=names,
    packages=st.dictionaries(names, st.dictionaries(names, names, max_size=3), max_size=3),
    env_vars=st.dictionaries(names, names, max_size=3),
    host=st.builds(agent.HostDescription, name=names, tags=st.dictionaries(names, names, max_size=3)),
    agent=stamps,
)


@given(samples)
def test_what_the_agent_measures_arrives_unchanged(sent: agent.MetricRecord) -> None:
    got = decode(MetricRecord, agent.encode(sent))
    assert isinstance(got, MetricRecord)
    for field in ("id", "host_id", "timestamp", "cpu", "memory", "disk", "uptime"):
        assert getattr(got, field) == getattr(sent, field)
    assert (got.agent.instance, got.agent.sequence) == (sent.agent.instance, sent.agent.sequence)
    assert VALIDATORS["metrics.v1"].is_valid(json.loads(agent.encode(sent)))


@given(snapshots)
def test_what_the_agent_lists_arrives_unchanged(sent: agent.SnapshotRecord) -> None:
    got = decode(SnapshotRecord, agent.encode(sent))
    assert isinstance(got, SnapshotRecord)
    assert (got.packages, got.env_vars, got.host.tags) == (sent.packages, sent.env_vars, sent.host.tags)
    assert VALIDATORS["snapshots.v1"].is_valid(json.loads(agent.encode(sent)))


@pytest.mark.parametrize("vector", json.loads((SCHEMAS / "examples" / "signatures.json").read_text()))
def test_agent_and_services_agree_with_the_published_signatures(vector: dict[str, Any]) -> None:
    secret, body = bytes.fromhex(vector["secret_hex"]), vector["body"].encode()
    header = sign(secret, vector["key_id"], vector["topic"], vector["host_id"], body)
    assert header.decode() == vector["header"]
    key = HostKey(vector["key_id"], vector["host_id"], secret)
    checked = check_signature(vector["topic"], body, header, int(datetime.now(UTC).timestamp() * 1000), {key.id: key})
    assert checked == key


@given(times, st.integers(-14 * 60, 14 * 60))
def test_every_offset_means_the_same_moment(moment: datetime, minutes: int) -> None:
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    example = json.loads((SCHEMAS / "examples/metrics.v1/valid/sample.json").read_text())
    got = decode(MetricRecord, json.dumps({**example, "timestamp": local.isoformat()}).encode())
    assert isinstance(got, MetricRecord)
    assert got.timestamp == moment

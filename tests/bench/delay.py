"""From a value that steps over a threshold until a webhook has it, beside Prometheus and Alertmanager."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bench.exporter import exporter
from bench.figures import percentile
from bench.live import Agents, Sample, host_key_pairs
from bench.reference import enrol
from bench.results import Goal, Of, Reference, Result, Sense
from bench.rivals import prometheus
from bench.setting import Setting
from bench.steps import THRESHOLD, Steps
from bench.watchers import add_hosts, add_rules
from bench.webhooks import OURS, THEIRS, Message, fired_by_us, firing_at_theirs, webhooks
from infrawatch_local.ports import free_ports
from stack import Database, Service, alerting_environment, eventually, fresh_database, fresh_topics
from webhook_channels import PRIVATE, add_channel

_HOSTS = 200  # each once a second
_PERIOD = 20.0
_READY = 20.0  # seconds until everything is up and warm
_WARM = 3.0
_MOST = {50: 150.0, 99: 500.0}
_MOST_OF_THEIRS = 0.5
Step = tuple[str, datetime]  # host, and time of the first sample that is over the threshold


@dataclass
class Course:
    """Times (Unix, seconds) of every step, as the parties learn of it."""

    steps: Steps
    acknowledged: dict[Step, float] = field(default_factory=dict)
    received: dict[Step, float] = field(default_factory=dict)
    theirs: dict[tuple[int, int], float] = field(default_factory=dict)  # by host, and which of its rises
    _high: set[str] = field(default_factory=set)
    _waiting: dict[str, Step] = field(default_factory=dict)  # by record id

    def sent(self, record: Sample) -> None:
        """A sample is on its way."""
        host = record["host_id"]
        if record["cpu"] < THRESHOLD:
            self._high.discard(host)
        elif host not in self._high:
            self._high.add(host)
            self._waiting[record["id"]] = host, datetime.fromisoformat(record["timestamp"])

    def acknowledge(self, record: Sample) -> None:
        """The broker has it."""
        if (step := self._waiting.pop(record["id"], None)) is not None:
            self.acknowledged[step] = time.time()

    def receive(self, message: Message, at: float) -> None:
        """A webhook of ours; what is told twice counts once."""
        for step in fired_by_us(message):
            self.received.setdefault(step, at)

    def receive_theirs(self, message: Message, at: float) -> None:
        """A webhook of Alertmanager."""
        for host in map(_number, firing_at_theirs(message)):
            self.theirs.setdefault((host, self.steps.count(host, at)), at)

    async def all_received(self) -> bool:
        """Whether everything that the broker has was told."""
        return self.acknowledged.keys() <= self.received.keys()

    async def theirs_until(self, end: float) -> bool:
        """Whether they have told the last rise of each host before ``end``."""
        last = ((host, self.steps.count(host, end)) for host in range(_HOSTS))
        return all(one in self.theirs for one in last if one[1])

    def delays(self) -> Mapping[str, Sequence[float]]:
        """Milliseconds until our webhook: from the acknowledgement, from the sample, and from the value's change."""
        return {
            "acknowledged": [max(0.0, self.received[step] - at) * 1000 for step, at in self.acknowledged.items()],
            "sampled": [(self.received[step] - step[1].timestamp()) * 1000 for step in self.acknowledged],
            "changed": [(self.received[step] - self._rise(step)) * 1000 for step in self.acknowledged],
        }

    def their_delays(self) -> Sequence[float]:
        """Milliseconds from the value's change until Alertmanager's webhook."""
        return [(at - self.steps.rise(*rise)) * 1000 for rise, at in self.theirs.items()]

    def _rise(self, step: Step) -> float:
        host = _number(step[0])
        return self.steps.rise(host, self.steps.count(host, step[1].timestamp()))


async def measure_delay(setting: Setting) -> list[Result]:
    """200 hosts, a sample of each every second; every 100 ms one of them steps up."""
    seconds = setting.sizes.delay_seconds
    course = Course(Steps(time.time() + _READY, _PERIOD))
    (port,) = free_ports(1)
    topics = await fresh_topics(setting.stack, partitions=12)
    async with webhooks(course.receive, course.receive_theirs) as url:
        with (
            fresh_database(setting.stack) as database,
            exporter(port, course.steps, _HOSTS),
            prometheus(setting.directory, port, url + THEIRS),
        ):
            _prepare(database, url + OURS)
            environment = alerting_environment(database, topics, private_targets=PRIVATE)
            alerting = Service("alerting", setting.directory, environment).start()
            try:
                agents = Agents(
                    topics,
                    _HOSTS,
                    values=lambda host, at: {"cpu": course.steps.value(host, at)},
                    sent=course.sent,
                    acknowledged=course.acknowledge,
                )
                assert time.time() < course.steps.begin - _WARM, f"the programs took longer than {_READY} s to start"
                end = course.steps.begin + seconds
                await agents.run(1.0, end - time.time())
                await eventually(course.all_received)
                await eventually(lambda: course.theirs_until(end))
            finally:
                alerting.stop()
    return results_of(course)


def _prepare(database: Database, url: str) -> None:
    pairs = host_key_pairs(_HOSTS)
    enrol(database, pairs)
    add_hosts(database, [host for _, host in pairs])
    add_rules(database, [(None, "cpu busy", "cpu", THRESHOLD, timedelta(0))])
    add_channel(database, "bench", url)


def results_of(course: Course) -> list[Result]:
    """Ours by the goals, and beside theirs."""
    ours, theirs = course.delays(), course.their_delays()
    counted = {"steps": len(course.acknowledged), "theirs": len(theirs)}
    alone = [
        Result(
            f"alert delay at {_HOSTS}/s, p{percent}",
            percentile(ours["acknowledged"], percent),
            "ms",
            goal=Goal(Of.VALUE, Sense.AT_MOST, bound),
            detail={**counted, "max_ms": round(max(ours["acknowledged"]), 1)},
        )
        for percent, bound in _MOST.items()
    ]
    beside = [
        Result(
            f"{name}, p{percent}",
            percentile(ours[key], percent),
            "ms",
            Reference("Prometheus+Alertmanager", percentile(theirs, percent)),
            Goal(Of.RATIO, Sense.AT_MOST, _MOST_OF_THEIRS) if (key, percent) == ("sampled", 50) else None,
            counted,
        )
        for key, name in (("sampled", "step to webhook"), ("changed", "step to webhook, sampling included"))
        for percent in _MOST
    ]
    return alone + beside


def _number(host: str) -> int:
    return int(host.rpartition("-")[2])

"""The fault matrix: one line a scenario, with its number in the list of faults and what must hold.

L0 (nothing lost), D0 (nothing doubled), O (offsets never go back) and S (readiness true, nothing ends by itself) are
judged in every one; of alerting, instead of the first two, A1 (what fires is what an undisturbed run finds, once); of
drift, beside them, D1 (rows and changes are those that the records make in whatever order they come, each once).
Further checks are the scene's own.
"""

from faults import scenes_alerting as alerting
from faults import scenes_drift as drift
from faults import scenes_edits as edits
from faults import scenes_notices as notices
from faults import scenes_processes as processes
from faults import scenes_records as records
from faults import scenes_servers as servers
from faults.scenario import Scenario

_SPEED = "it compares speeds"
_PACE = "it bounds a pause by seconds"
_STATEMENT = "most of its bound is the time that a statement may take"

SCENARIOS = (
    Scenario(1, "load at 80 %", "10 min", processes.loaded, memory=True, quiet=_SPEED),
    Scenario(2, "overload at 150 %", "5 min, then drained", processes.overloaded, memory=True, quiet=_SPEED),
    Scenario(3, "soak", "60 min", processes.soak, memory=True, by_default=False),
    Scenario(4, "kill -9 of a replica", "50 times, every 5 s", processes.killed, processes.TAKEN_OVER),
    Scenario(4, "alerting killed", "20 times, every 5 s", alerting.killed, processes.TAKEN_OVER, consumer="alerting"),
    Scenario(4, "drift killed", "20 times, every 5 s", drift.killed, processes.TAKEN_OVER, consumer="drift"),
    Scenario(5, "SIGTERM under load", "20 times", processes.terminated),
    Scenario(6, "database restarted, immediate", "10 times", servers.database_restarted, 15.0),
    Scenario(7, "database down", "2 min", servers.database_down, 60.0, memory=True),
    Scenario(
        8, "database slow, +500 ms", "2 min", servers.database_slow, servers.RECONNECTED, memory=True, quiet=_PACE
    ),
    Scenario(8, "table locked", "60 s", servers.table_locked, servers.RECONNECTED, memory=True),
    Scenario(9, "broker killed, then down", "5 min", servers.broker_restarted, servers.RECONNECTED, memory=True),
    Scenario(12, "network partition", "60 s", servers.partitioned, servers.RECONNECTED, root=True),
    Scenario(
        12, "database half-open", "5 times", servers.half_open_database, servers.STATEMENT_GIVEN_UP, quiet=_STATEMENT
    ),
    Scenario(12, "broker half-open", "5 times", servers.half_open_broker, servers.RECONNECTED),
    Scenario(12, "loss 5 %, latency 300 ms", "2 min", servers.lossy, servers.RECONNECTED, memory=True, quiet=_PACE),
    Scenario(12, "connections cut", "20 times", servers.cut, servers.RECONNECTED),
    Scenario(13, "zombie after SIGSTOP", "60 s", processes.suspended, processes.TAKEN_OVER),
    Scenario(14, "rebalance storm", "2 min", processes.storm, processes.TAKEN_OVER),
    Scenario(15, "duplicates 10 %, replay", "2 min", records.repeated),
    Scenario(15, "alerting: duplicates 10 %, replay", "2 min", alerting.repeated, consumer="alerting"),
    Scenario(15, "drift: duplicates 10 %, replay", "2 min", drift.repeated, consumer="drift"),
    Scenario(16, "out of order, 1 h late", "2 min", records.late),
    Scenario(16, "alerting: 1 h late", "2 min", alerting.late, consumer="alerting"),
    Scenario(16, "drift: out of order, 1 h late", "2 min", drift.late, consumer="drift"),
    Scenario(18, "alerting away for 30 min", "once", alerting.away, consumer="alerting"),
    Scenario(
        18,
        "alerting an hour behind 1,000 hosts",
        "360,000 samples",
        alerting.an_hour_behind,
        hosts=1000,
        consumer="alerting",
    ),
    Scenario(18, "alerting killed while it sends", "20 times", notices.killed_while_sending, consumer="alerting"),
    Scenario(19, "receivers fail, hang, redirect", "60 s", notices.unreliable_receivers, consumer="alerting"),
    Scenario(20, "poison", "60 times 12 kinds", records.poisoned),
    Scenario(20, "drift: poison", "60 times 14 kinds", drift.poisoned, consumer="drift"),
    Scenario(
        21, "snapshots of 1 MB, 10 MB, 50,000 variables", "300 of 1 MB", drift.oversized, hosts=10, consumer="drift"
    ),
    Scenario(22, "versions mixed, rolling", "10 upgrades", records.versions),
    Scenario(22, "drift: versions mixed, rolling", "10 upgrades", drift.versions, consumer="drift"),
    Scenario(23, "1 of 5,000 refused", "50 times", records.refused_by_database),
    Scenario(24, "rules and hosts edited while firing", "6 rounds", edits.edited, consumer="alerting"),
    Scenario(25, "said in other words, flapping", "60 s", drift.rewritten, consumer="drift"),
    Scenario(26, "flapping, gaps, silence", "10 kills", alerting.restless, consumer="alerting"),
)

# Those whose shortest form holds on a busy machine as well, and for everybody.
TESTED = tuple(one for one in SCENARIOS if one.by_default and not one.root and one.quiet is None)

-- Samples that come after newer ones fill gaps, and are judged as if they had come in time.

-- The gaps of a host that samples may still fill, and how far they are filled. No references, as with states.
CREATE TABLE IF NOT EXISTS alert_histories (
    host_id TEXT PRIMARY KEY,
    history JSONB NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE alert_events DROP CONSTRAINT IF EXISTS alert_events_resolved_reason_check;
ALTER TABLE alert_events ADD CONSTRAINT alert_events_resolved_reason_check
    CHECK (resolved_reason IN ('cleared', 'heard', 'continued', 'rule_changed', 'rule_disabled', 'rule_deleted',
                               'host_retired', 'host_deleted', 'host_not_selected', 'state_lost')) NOT VALID;
ALTER TABLE alert_events VALIDATE CONSTRAINT alert_events_resolved_reason_check;

GRANT SELECT, INSERT, UPDATE, DELETE ON alert_histories TO infrawatch_alerting;

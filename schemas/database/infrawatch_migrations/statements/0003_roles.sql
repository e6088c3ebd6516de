-- One role per service, each with what its service needs and no more. Passwords are set by the migration command.

DO $$
DECLARE
    role_name TEXT;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['infrawatch_ingest', 'infrawatch_alerting', 'infrawatch_drift', 'infrawatch_api'] LOOP
        -- Roles belong to the whole server: another database may have made them, perhaps at this very moment.
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role_name);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO infrawatch_ingest', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO infrawatch_ingest, infrawatch_alerting, infrawatch_drift, infrawatch_api;

-- ingest: registers hosts, writes samples. It checks the foreign key of a whole batch at once and then inserts with
-- row triggers off, which takes this one parameter.
GRANT SELECT ON hosts, metrics, host_keys, dead_letters TO infrawatch_ingest;
GRANT INSERT ON hosts, metrics, dead_letters TO infrawatch_ingest;
GRANT UPDATE (last_seen) ON hosts TO infrawatch_ingest;
GRANT SET ON PARAMETER session_replication_role TO infrawatch_ingest;

-- alerting: judges samples by the rules.
GRANT SELECT ON hosts, metrics, alerts, host_keys, dead_letters TO infrawatch_alerting;
GRANT INSERT ON dead_letters TO infrawatch_alerting;
GRANT UPDATE (last_triggered, log) ON alerts TO infrawatch_alerting;

-- drift: registers hosts, keeps snapshots.
GRANT SELECT ON hosts, snapshots, host_keys, dead_letters TO infrawatch_drift;
GRANT INSERT ON hosts, snapshots, dead_letters TO infrawatch_drift;
GRANT UPDATE (name, tags) ON hosts TO infrawatch_drift;
GRANT UPDATE (confirmed_at) ON snapshots TO infrawatch_drift;

-- api: what operators do. The audit log only grows.
GRANT SELECT, INSERT, UPDATE, DELETE ON hosts, alerts, users, sessions, api_tokens, enrolments TO infrawatch_api;
GRANT SELECT, DELETE ON metrics, snapshots, dead_letters TO infrawatch_api;
GRANT SELECT, INSERT ON host_keys, audit_log TO infrawatch_api;
GRANT UPDATE (revoked_at) ON host_keys TO infrawatch_api;

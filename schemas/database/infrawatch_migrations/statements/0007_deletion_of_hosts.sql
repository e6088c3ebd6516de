-- Ingest keeps in mind which hosts there are: to ask, and to lock each of them, in every batch costs more the more hosts
-- there are. Whoever deletes hosts waits for the batches that are being written, and changes the version of the table.

CREATE SEQUENCE IF NOT EXISTS hosts_deletions;
SELECT nextval('hosts_deletions'); -- the first number does not count as a change

CREATE OR REPLACE FUNCTION note_deletion_of_hosts() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE public.hosts IN EXCLUSIVE MODE;
    PERFORM nextval('public.hosts_deletions');
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER hosts_deletions BEFORE DELETE OR TRUNCATE ON hosts
    FOR EACH STATEMENT EXECUTE FUNCTION note_deletion_of_hosts();
ALTER TABLE hosts ENABLE ALWAYS TRIGGER hosts_deletions;

-- The version of table hosts. While it is "known", every host that was there is there, and stays until the transaction
-- ends; then row triggers, which check that for each row, are switched off for it. It changes with every deletion, and
-- when the server starts or the table is made anew, as when a backup takes the place of what a writer has seen.
DROP FUNCTION IF EXISTS begin_insert_of_samples(TEXT[]);
CREATE OR REPLACE FUNCTION begin_insert_for_known_hosts(known TEXT) RETURNS TEXT
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version TEXT;
BEGIN
    LOCK TABLE public.hosts IN ROW SHARE MODE;
    SELECT concat_ws(' ', last_value, 'public.hosts'::regclass::oid, pg_postmaster_start_time()) INTO version
    FROM public.hosts_deletions;
    IF version = known THEN
        PERFORM set_config('session_replication_role', 'replica', TRUE);
    END IF;
    RETURN version;
END
$$;
COMMENT ON FUNCTION begin_insert_for_known_hosts IS
    'Keeps hosts from being deleted, and switches row triggers off if their version is the known one, until the transaction ends.';

REVOKE ALL ON FUNCTION begin_insert_for_known_hosts, note_deletion_of_hosts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_insert_for_known_hosts TO infrawatch_ingest;

-- Who may talk to the system: people by session or token, hosts by key; and what went wrong with what they sent.

CREATE TABLE IF NOT EXISTS sessions (
    id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    UUID NOT NULL REFERENCES users ON DELETE CASCADE,
    token_hash BYTEA NOT NULL UNIQUE, -- SHA-256; the token itself is known to its holder alone
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    used_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_user_id_idx ON sessions (user_id);

CREATE TABLE IF NOT EXISTS api_tokens (
    id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    UUID NOT NULL REFERENCES users ON DELETE CASCADE,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')), -- at most the owner's counts
    token_hash BYTEA NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    used_at    TIMESTAMPTZ,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS api_tokens_user_id_idx ON api_tokens (user_id);

CREATE TABLE IF NOT EXISTS enrolments (
    id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash BYTEA NOT NULL UNIQUE,
    host_id    TEXT, -- null: the agent names the host
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ,
    used_by    TEXT
);

-- A key outlives its host, so that its revocation does too: no reference to hosts.
CREATE TABLE IF NOT EXISTS host_keys (
    id         TEXT PRIMARY KEY, -- 32 hexadecimal digits; the secret is derived from it
    host_id    TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    revoked_at TIMESTAMPTZ
);
CREATE INDEX IF NOT EXISTS host_keys_host_id_idx ON host_keys (host_id);
CREATE INDEX IF NOT EXISTS host_keys_revoked_at_idx ON host_keys (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS audit_log (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    actor  TEXT NOT NULL, -- an email address as given, or the command that acted
    ip     INET,
    action TEXT NOT NULL,
    target TEXT,
    detail JSONB NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS audit_log_at_idx ON audit_log (at);
-- Failed logins are counted by account and address.
CREATE INDEX IF NOT EXISTS audit_log_actor_action_at_idx ON audit_log (lower(actor), action, at);

-- A record that is read again is the same dead letter.
CREATE TABLE IF NOT EXISTS dead_letters (
    service     TEXT NOT NULL,
    topic       TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    "offset"    BIGINT NOT NULL,
    appended_at TIMESTAMPTZ NOT NULL, -- the broker's time
    host_id     TEXT,                 -- where the record proves it
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    key         BYTEA,
    value       BYTEA,
    headers     JSONB NOT NULL DEFAULT '{}',
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (service, topic, partition, "offset")
);
CREATE INDEX IF NOT EXISTS dead_letters_created_at_idx ON dead_letters (created_at);

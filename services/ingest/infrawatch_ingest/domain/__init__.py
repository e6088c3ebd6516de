"""The decisions of ingest: pure functions, without clock, log or driver."""

"""Drift: what hosts were configured like, from Kafka into TimescaleDB, and what changed."""

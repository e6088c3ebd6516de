"""Ingest: telemetry from Kafka into TimescaleDB, each record once."""

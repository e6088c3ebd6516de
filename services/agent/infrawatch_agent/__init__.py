"""The agent: reads a host's telemetry and configuration, spools it, and sends it to Kafka."""

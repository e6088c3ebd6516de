"""The local stack: Kafka, TimescaleDB, Prometheus and every service on one machine, without a container engine.

Standard library only, since it runs before the project's virtual environment exists.
"""

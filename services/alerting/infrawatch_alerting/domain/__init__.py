"""The decisions of alerting: pure."""

"""The decisions of the API: pure functions of data and ``now``."""

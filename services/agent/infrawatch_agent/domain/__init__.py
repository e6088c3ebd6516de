"""The decisions of the agent: pure functions, without clock, log or driver."""

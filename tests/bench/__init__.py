"""Benchmarks on the real servers, each against a reference in the same minute; see docs/benchmarks.md."""

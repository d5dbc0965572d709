"""Benchmarks against floors: what PostgreSQL itself takes for the same work, in the same run."""

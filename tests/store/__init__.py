"""The store through its public calls, on a real PostgreSQL."""

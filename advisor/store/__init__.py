"""Telemetry in DuckDB and state in SQL: the only files that hold SQL."""

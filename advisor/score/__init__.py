"""Response curves, diagnosis, indicators and the five SMART dimensions."""

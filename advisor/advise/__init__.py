"""Rules, candidates and recommendations."""

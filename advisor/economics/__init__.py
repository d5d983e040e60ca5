"""Cost and energy of GPU-hours and tokens."""

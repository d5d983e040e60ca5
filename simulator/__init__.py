"""A fleet without GPUs, from measured curves, for the demo and closed-loop tests."""

"""What a configuration delivers under a load, and what a change of it brings."""

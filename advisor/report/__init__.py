"""The weekly mail: figures, charts, rendering, outbox and sending."""

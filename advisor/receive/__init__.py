"""OTLP in, fragments out."""

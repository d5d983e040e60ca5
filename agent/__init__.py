"""The node agent: reads GPUs and serving engines, ships windows over OTLP."""

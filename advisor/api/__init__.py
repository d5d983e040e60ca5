"""REST under /api/v1 and the application that serves it."""

"""GPUs, models, engines, releases and prices as data with source and date."""

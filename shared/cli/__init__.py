"""A command-line client of the API, for people and pipelines: `python -m shared.cli`. It knows nothing but the API."""

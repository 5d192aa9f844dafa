"""All library code of Mailroom; `docs/architecture.md` explains its layers."""

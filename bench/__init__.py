"""Benchmarks: `make bench` prints their figures and writes them to `.local/figures/`."""

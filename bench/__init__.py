"""Benchmarks that anybody can repeat: `make bench`. Nothing of the project imports this."""

"""A job of the benchmarks' own, that does as little as one can."""

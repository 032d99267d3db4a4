"""The hot loops, compiled by numba: arrays and scalars in, arrays out; see ADR 4."""

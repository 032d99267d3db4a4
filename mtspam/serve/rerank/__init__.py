"""Ranking over the network, whatever carries it: requests in, answers out, one thread."""

"""Ranking: the shared trunk, the behaviour history and the personal part, behind one façade."""

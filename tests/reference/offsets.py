"""Plain-Python twin of mtspam.kernels.offsets."""


def are_offsets_sound(offsets: list[list[int]], n_values: int) -> bool:
    return all(sorted([0, *row, n_values]) == [0, *row, n_values] for row in offsets)

"""Plain-Python twin of mtspam.kernels.sorting."""


def sort_views(messages: list[list[list[int]]]) -> list[list[list[int]]]:
    return [[sorted(set(view)) for view in views] for views in messages]

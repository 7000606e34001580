"""Headers set by hand, bit by bit."""


def bits(*fields: tuple[int, int]) -> bytes:
    """Numbers and how many bits each has."""
    text = "".join(f"{value:0{count}b}" for value, count in fields)
    return int(text.ljust(-len(text) // 8 * -8, "0"), 2).to_bytes(-(-len(text) // 8)) + bytes(8)

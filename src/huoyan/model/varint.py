"""Whole numbers as few bytes: seven bits per byte, the lowest first.

The same varint and zigzag as in Protocol Buffers (https://protobuf.dev/programming-guides/encoding/).
"""

MAX_VARINT_BYTES = 19
"""Longer numbers are refused, so that a damaged or hostile string of bytes cannot make a number of any size."""


def zigzag(number: int) -> int:
    """Return 0, 1, 2, 3, 4 … for 0, -1, 1, -2, 2 …, so that small negative numbers stay short."""
    return number * 2 if number >= 0 else -number * 2 - 1


def unzigzag(number: int) -> int:
    """Undo `zigzag`."""
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def put(out: bytearray, number: int) -> None:
    """Append `number`, 0 or more and below 2**133, to `out`."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def take(data: bytes, position: int, length: int) -> tuple[list[int], int]:
    """Return the `length` numbers that start at `position`, and the position after them.

    Raises:
        ValueError: When the data ends before, or a number is too long.
    """
    numbers: list[int] = []
    if not length:
        return numbers, position
    number = shift = 0
    for at in range(position, len(data)):
        byte = data[at]
        if byte >= 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * (MAX_VARINT_BYTES - 1):
                raise ValueError(f"varint: expected a number of at most {MAX_VARINT_BYTES} bytes, got a longer one")
        else:
            numbers.append(number | byte << shift)
            if len(numbers) == length:
                return numbers, at + 1
            number = shift = 0
    raise ValueError(f"varint: expected {length} numbers, got {len(numbers)} and the end of the data")

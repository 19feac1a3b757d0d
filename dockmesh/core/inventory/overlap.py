"""Which blocks of addresses lie inside which, without comparing each with each."""

from collections.abc import Iterator, Sequence

from dockmesh.core.addresses import Network, address_range


def nested_blocks(blocks: Sequence[Network]) -> Iterator[tuple[int, int]]:
    """The indices (outer, inner) of every two of `blocks` of which one lies in the other.

    All are distinct and of one family. Two CIDR blocks are apart or one holds the other, so that in order of address
    the blocks around the current one form a stack, never higher than there are lengths.
    """
    ranges = [address_range(block) for block in blocks]
    around: list[tuple[int, int]] = []
    for index in sorted(range(len(blocks)), key=lambda at: (ranges[at][0], blocks[at].prefixlen)):
        first, last = ranges[index]
        while around and around[-1][0] < first:
            around.pop()
        for _, outer in around:
            yield outer, index
        around.append((last, index))

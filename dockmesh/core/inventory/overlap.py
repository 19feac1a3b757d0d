"""Which blocks of addresses lie inside which, without comparing each with each."""

from collections.abc import Iterator, Sequence

from dockmesh.core.addresses import Network


def nested_blocks(blocks: Sequence[Network]) -> Iterator[tuple[int, int]]:
    """The indices (outer, inner) of every two of `blocks` of which one lies in the other.

    All are distinct and of one family. Two CIDR blocks are apart or one holds the other, so that in order of address
    the blocks around the current one form a stack, never higher than there are lengths.
    """
    first = [int(block.network_address) for block in blocks]
    around: list[tuple[int, int]] = []
    for index in sorted(range(len(blocks)), key=lambda i: (first[i], blocks[i].prefixlen)):
        while around and around[-1][0] < first[index]:
            around.pop()
        for _, outer in around:
            yield outer, index
        around.append((first[index] + blocks[index].num_addresses - 1, index))

"""Which things of different tiles are one: a forest of links, none of which makes two things of one tile one."""


class SameThings:
    """Groups of things, numbered as they are added; each remembers the tiles that its members come from."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._tiles: list[set[int]] = []

    def __len__(self) -> int:
        """Return how many things there are."""
        return len(self._parents)

    def add(self, tile: int) -> int:
        """Add a thing of a tile; return its number."""
        self._parents.append(len(self._parents))
        self._tiles.append({tile})
        return len(self._parents) - 1

    def root(self, thing: int) -> int:
        """Return the lowest number of the group that a thing is in."""
        while self._parents[thing] != thing:
            self._parents[thing] = self._parents[self._parents[thing]]
            thing = self._parents[thing]
        return thing

    def is_alone(self, thing: int) -> bool:
        """Whether no other is one with it."""
        return len(self._tiles[self.root(thing)]) == 1

    def link(self, one: int, other: int) -> bool:
        """Make two groups one, unless both have a thing of the same tile: its network has told these two apart.

        Returns whether they are one now.
        """
        first, second = sorted((self.root(one), self.root(other)))
        if first == second:
            return True
        if self._tiles[first] & self._tiles[second]:
            return False
        self._parents[second] = first
        self._tiles[first] |= self._tiles[second]
        self._tiles[second] = set()
        return True

"""Which things of different tiles are one: a forest of links, none of which makes two things of one tile one."""


class SameThings:
    """Groups of things, numbered as they are added; each remembers the tiles that its members come from."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._tiles: list[set[int]] = []
        self._whole: list[bool] = []

    def __len__(self) -> int:
        """Return how many things there are."""
        return len(self._parents)

    def add(self, tile: int, *, whole: bool = False) -> int:
        """Add a thing of a tile, `whole` where no edge cuts it; return its number."""
        self._parents.append(len(self._parents))
        self._tiles.append({tile})
        self._whole.append(whole)
        return len(self._parents) - 1

    def root(self, thing: int) -> int:
        """Return the lowest number of the group that a thing is in."""
        while self._parents[thing] != thing:
            self._parents[thing] = self._parents[self._parents[thing]]
            thing = self._parents[thing]
        return thing

    def tiles(self, thing: int) -> set[int]:
        """Return the tiles that have a thing of its group."""
        return self._tiles[self.root(thing)]

    def is_whole(self, thing: int) -> bool:
        """Whether a tile has it, or one of its group, whole."""
        return self._whole[self.root(thing)]

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
        self._whole[first] |= self._whole[second]
        return True

"""All kinds of attacks, in the order of the table."""

from . import (
    broken,
    crews,
    crowd,
    cuts,
    disks,
    hostile,
    intruders,
    keeping,
    kills,
    power,
    publishing,
    reconnect,
    rings,
    rows,
    seeking,
    soak,
    workers,
)

_ROOMS = (
    *(
        kills,
        rows,
        cuts,
        rings,
        keeping,
        publishing,
        crews,
        power,
        disks,
        broken,
        hostile,
        intruders,
        crowd,
        seeking,
    ),
    *(reconnect, workers, soak),
)
KINDS = [kind for room in _ROOMS for kind in room.KINDS]

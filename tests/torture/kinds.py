"""All kinds of attacks, in the order of the table."""

from . import broken, crowd, disks, kills, power, soak

KINDS = [*kills.KINDS, *power.KINDS, *disks.KINDS, *broken.KINDS, *crowd.KINDS, *soak.KINDS]

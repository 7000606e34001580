"""All kinds of attacks, in the order of the table."""

from . import broken, crowd, disks, hostile, kills, power, soak

KINDS = [*kills.KINDS, *power.KINDS, *disks.KINDS, *broken.KINDS, *hostile.KINDS, *crowd.KINDS, *soak.KINDS]

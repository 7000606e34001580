"""The command line: a thin face over the package, one module a command."""

from .app import main as main
from .app import run as run
from .shared import FAULT as FAULT
from .shared import INTERRUPTED as INTERRUPTED
from .shared import USAGE as USAGE

"""What the tests of the writer's files share."""

import pytest

from recordkit.system import System
from recordkit.writer.output import Output


@pytest.fixture
def output(tmp_path):
    made = Output(tmp_path / "talk.ts", System())
    made.open(overwrite=True, needed_bytes=0)
    yield made
    made.close()

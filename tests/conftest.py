"""What all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def refresh_golden(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--refresh-golden")

"""Which candidates of an offer are used, and which are left out and told."""

import pytest

from recordkit.endpoint.candidates import MOST_CANDIDATES, kept


def line(host: str, port: int = 5000) -> str:
    return f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"


HEAD = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "f0a1.local", "10.0.0.1", "fe80::1"])
def test_addresses_of_publishers_are_kept(host: str) -> None:
    assert kept(HEAD + line(host), "192.0.2.7") == (HEAD + line(host), [])


@pytest.mark.parametrize(
    "host",
    [
        "224.0.0.251",
        "ff02::1",
        "0.0.0.0",  # noqa: S104 - nobody listens there
        "::",
        "255.255.255.255",
        "victim.example",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
    ],
)
def test_others_are_left_out_and_told(host: str) -> None:
    text, refused = kept(HEAD + line(host) + line("192.0.2.7"), "192.0.2.7")
    assert text == HEAD + line("192.0.2.7")
    assert len(refused) == 1


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_for_offers_from_this_machine(remote: str) -> None:
    assert kept(HEAD + line("127.0.0.1"), remote) == (HEAD + line("127.0.0.1"), [])
    assert kept(HEAD + line("127.0.0.1"), None)[1]


def test_no_offer_makes_more_than_a_few_be_tried() -> None:
    text, refused = kept(HEAD + "".join(line("192.0.2.7", 1024 + n) for n in range(1055)), "192.0.2.7")
    assert text.count("a=candidate:") == MOST_CANDIDATES == 32
    assert len(refused) == 1055 - 32

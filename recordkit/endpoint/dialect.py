"""Offers as aiortc understands them, and its answers as they go to the publisher.

aiortc takes two profiles of H.264 and one packetization mode, though its depayloader reads more, and
recordkit keeps the coded pictures as they are. So an offer is put into aiortc's own words before it
sees it, and in the answer stands again what was offered, with what a recorder asks for besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..sources.webrtc.description import sections

_PREFERRED = ("h264", "opus")
"""What MPEG-TS carries as it comes."""
_AIORTC_PROFILE = "42e01f"
_READABLE_MODES = ("0", "1")
"""Single NAL units, and the non-interleaved mode (RFC 6184, 6.2 and 6.3); the interleaved one nobody sends."""
_END_OF_CANDIDATES = re.compile(r"(?m)^a=end-of-candidates\r?(?:\n|$)")
_ACTPASS = re.compile(r"(?m)^a=setup:actpass(?=\r?$)")
_HOST_CANDIDATE = re.compile(
    r"(?P<front>a=candidate:\S+)(?P<middle> \d+ udp \d+ )(?P<host>\S+) (?P<port>\d+)(?P<rest> typ host.*?)\r?$"
)
_CODING = re.compile(r"(?m)^a=rtpmap:(\d{1,3}) ([^/\s]+)(\S*)")
_SHA_256 = re.compile(r"(?im)^a=fingerprint:sha-256 ")
_OTHER_HASH = re.compile(r"(?im)^a=fingerprint:(?!sha-256 ).*\r?\n?")


def for_aiortc(offer: str) -> str:
    """The offer as aiortc is to read it; everything that it understands stays as it is.

    ``a=setup:actpass`` becomes active, so that the answer says passive (RFC 8842, 5.3 leaves the choice to
    the answerer): as DTLS client aiortc offers suites for ECDSA alone, as server it takes certificates of
    all kinds. H.264 of any profile becomes one that aiortc has, and comes first. That there are no more
    candidates is left out: where none is of use, such as a name of mDNS that says nothing here, aioice would
    give up before the publisher's own checks come and show where it is (RFC 8863, 3).
    """
    told = _END_OF_CANDIDATES.sub("", _ACTPASS.sub("a=setup:active", offer))
    return "".join(map(_section_for_aiortc, sections(told)))


def for_publisher(
    answer: str, offer: str, start_bit_rate: int | None = None, announced_address: str | None = None
) -> str:
    """The answer of aiortc to ``for_aiortc(offer)`` as the publisher is to read it.

    H.264 has the profile and the packetization mode that were offered (RFC 6184, 8.2.2), Opus comes in
    stereo where there is stereo (RFC 7587, 7.1), and Chromium and its kin begin with ``start_bit_rate``
    bits a second, and so at full size, if it is given. There is one fingerprint, see ``with_one_fingerprint``. Each
    of this machine's candidates stands there at ``announced_address``, too.
    """
    bit_rate = None if start_bit_rate is None else f"x-google-start-bitrate={start_bit_rate // 1000}"
    offered = [_parameters(section) for section in sections(offer)]
    parts = []
    for place, section in enumerate(sections(with_one_fingerprint(answer))):
        told = offered[place] if place < len(offered) else {}
        for payload_type, name in _codings(section):
            if name == "h264":
                mode = told.get(payload_type, {}).get("packetization-mode", "0")
                profile = told.get(payload_type, {}).get("profile-level-id")
                stated = {"level-asymmetry-allowed": "1", "packetization-mode": mode}
                section = _stated(
                    section, payload_type, stated | ({"profile-level-id": profile} if profile else {})
                )
            if name == "opus":
                section = _added(section, payload_type, "stereo=1")
            if bit_rate is not None and section.startswith("m=video") and name != "rtx":
                section = _added(section, payload_type, bit_rate)
        parts.append(section if announced_address is None else _announced(section, announced_address))
    return "".join(parts)


def with_one_fingerprint(sdp: str) -> str:
    """The description of this side with the SHA-256 of its certificate alone, which everybody has to know.

    RFC 8122, 5 allows several hashes, and aiortc states three. libdatachannel, by which OBS Studio publishes,
    remembers the last one, but takes the certificate's SHA-256 if the handshake begins before it has read the
    answer to its end: on one machine every third connection failed by that.
    """
    return _OTHER_HASH.sub("", sdp) if _SHA_256.search(sdp) else sdp


def codings(offer: str) -> list[str]:
    """What an offer's media are coded as, in words: ``H264 (profile 640c1f, packetization-mode 1)``."""
    found = []
    for section in sections(offer):
        told = _parameters(section)
        for payload_type, name, rest in _CODING.findall(section):
            words = name
            if name.lower() == "h264":
                profile = told.get(payload_type, {}).get("profile-level-id", "not given")
                mode = told.get(payload_type, {}).get("packetization-mode", "0")
                words = f"{name} (profile {profile}, packetization-mode {mode})"
            elif name.lower() in ("rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"):
                continue
            elif rest.startswith("/") and section.startswith("m=audio"):
                words = f"{name}{rest}"
            if words not in found:
                found.append(words)
    return found


def _section_for_aiortc(section: str) -> str:
    told = _parameters(section)
    for payload_type, name in _codings(section):
        parameters = told.get(payload_type, {})
        if name == "h264" and parameters.get("packetization-mode", "0") in _READABLE_MODES:
            own = {"packetization-mode": "1", "profile-level-id": _AIORTC_PROFILE}
            section = _stated(section, payload_type, parameters | own)
    return _preferred_first(section)


def _announced(section: str, address: str) -> str:
    """The same ports at another address, from which they are forwarded (RFC 8839, 5.1)."""
    lines, told = [], set()
    for line in section.splitlines(keepends=True):
        lines.append(line)
        found = _HOST_CANDIDATE.match(line)
        if found is not None and (":" in found["host"]) == (":" in address) and found["port"] not in told:
            told.add(found["port"])
            if found["host"] != address:
                lines.append(f"{found['front']}1{found['middle']}{address} {found['port']}{found['rest']}\r\n")
    return "".join(lines)


def _preferred_first(section: str) -> str:
    """The order of ``a=rtpmap`` is that of the answer (RFC 3264, 6.1: the most wanted first)."""
    lines = section.splitlines(keepends=True)
    places = [place for place, line in enumerate(lines) if _CODING.match(line)]
    ordered = sorted(
        (lines[place] for place in places),
        key=lambda line: _CODING.match(line)[2].lower() not in _PREFERRED,  # type: ignore[index]
    )
    for place, line in zip(places, ordered, strict=True):
        lines[place] = line
    return "".join(lines)


def _codings(section: str) -> Iterator[tuple[str, str]]:
    # Each once: a stranger may say it thousands of times, and for each the section is gone through.
    yield from dict.fromkeys((payload_type, name.lower()) for payload_type, name, _ in _CODING.findall(section))


def _parameters(section: str) -> dict[str, dict[str, str]]:
    """The ``a=fmtp`` of each payload type."""
    found: dict[str, dict[str, str]] = {}
    for payload_type, text in re.findall(r"(?m)^a=fmtp:(\d+) (.*?)\r?$", section):
        pairs = (one.strip().partition("=") for one in text.split(";") if one.strip())
        found[payload_type] = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return found


def _added(section: str, payload_type: str, parameter: str) -> str:
    """``section`` with one more format parameter of this payload type."""
    line = re.search(rf"(?m)^a=fmtp:{payload_type} .*?(?=\r?$)", section)
    if line is not None:
        return f"{section[: line.end()]};{parameter}{section[line.end() :]}"
    return _put(section, payload_type, parameter)


def _stated(section: str, payload_type: str, parameters: dict[str, str]) -> str:
    """``section`` with these format parameters of this payload type, and no others."""
    section = re.sub(rf"(?m)^a=fmtp:{payload_type} .*\r?\n?", "", section)
    return _put(
        section, payload_type, ";".join(f"{name}={value}" if value else name for name, value in parameters.items())
    )


def _put(section: str, payload_type: str, text: str) -> str:
    lines = section.splitlines(keepends=True)
    place = next(place for place, line in enumerate(lines) if line.startswith(f"a=rtpmap:{payload_type} "))
    lines[place] = lines[place].rstrip("\r\n") + "\r\n"
    return "".join([*lines[: place + 1], f"a=fmtp:{payload_type} {text}\r\n", *lines[place + 1 :]])

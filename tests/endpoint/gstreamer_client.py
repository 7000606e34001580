"""Publishes raw pictures and a tone by GStreamer's webrtcbin; for the system's own Python, which has its bindings.

    /usr/bin/python3 gstreamer_client.py URL TOKEN PICTURES WIDTH HEIGHT CODING [again]

PICTURES is a file of I420 pictures, at 30 a second; CODING the part of the pipeline that codes and packs them,
whose payload type has to be 96. With "again" packets that are missed are sent again. It ends once all of the
pictures are sent.
"""

import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 - after their versions

CONNECT_S = 20
LAST_PACKETS_MS = 700


class Publisher:
    def __init__(
        self, url: str, token: str, pictures: str, size: tuple[str, str], coding: str, *again: str
    ) -> None:
        self.url, self.token = url, token
        self.session = self.fault = ""
        self.loop = GLib.MainLoop()
        raw = f"width={size[0]} height={size[1]} format=i420 framerate=30/1"
        self.pipeline = Gst.parse_launch(
            "webrtcbin name=peer bundle-policy=max-bundle "
            f"filesrc location={pictures} ! rawvideoparse {raw} ! clocksync ! {coding}"
            " ! application/x-rtp,media=video,payload=96 ! identity name=last ! peer. "
            "audiotestsrc is-live=true ! audioconvert ! opusenc ! rtpopuspay pt=97"
            " ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer."
        )
        self.peer = self.pipeline.get_by_name("peer")
        for number in range(2 if again else 0):
            self.peer.emit("get-transceiver", number).set_property("do-nack", True)
        self.peer.connect("on-negotiation-needed", self.negotiate)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.peer.connect("notify::connection-state", self.changed)
        pad = self.pipeline.get_by_name("last").get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self.passed)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self.end(message.parse_error()[0].message))

    def run(self) -> None:
        GLib.timeout_add_seconds(CONNECT_S, self.too_late)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        if self.session:
            self.ask("DELETE", self.session)
        self.pipeline.set_state(Gst.State.NULL)
        if self.fault:
            raise SystemExit(self.fault)

    def negotiate(self, peer: Gst.Element) -> None:
        promise = Gst.Promise.new_with_change_func(self.offered, None)
        peer.emit("create-offer", None, promise)

    def offered(self, promise: Gst.Promise, _: object) -> None:
        reply = promise.get_reply()  # which holds what is in it
        self.peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def gathered(self, peer: Gst.Element, _: object) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self.publish)

    def publish(self) -> bool:
        offer = self.peer.get_property("local-description").sdp.as_text()
        try:
            with self.ask("POST", self.url, offer) as response:
                self.session = urllib.parse.urljoin(self.url, response.headers["Location"])
                _, sdp = GstSdp.SDPMessage.new_from_text(response.read().decode())
        except urllib.error.HTTPError as refusal:
            self.end(f"{refusal.code}: {refusal.read().decode()}")
            return False
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return False

    def ask(self, method: str, url: str, body: str = "") -> object:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/sdp"}
        request = urllib.request.Request(url, body.encode() or None, headers, method=method)  # noqa: S310
        return urllib.request.urlopen(request, timeout=30)  # noqa: S310 - the endpoint of this machine

    def changed(self, peer: Gst.Element, _: object) -> None:
        state = peer.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self.end("the connection failed")

    def too_late(self) -> bool:
        connected = GstWebRTC.WebRTCPeerConnectionState.CONNECTED
        if self.peer.get_property("connection-state") != connected:
            self.end("it does not connect")
        return False

    def passed(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if info.get_event().type == Gst.EventType.EOS:
            GLib.timeout_add(LAST_PACKETS_MS, self.end, "")
        return Gst.PadProbeReturn.OK

    def end(self, fault: str) -> bool:
        self.fault = self.fault or fault
        self.loop.quit()
        return False


if __name__ == "__main__":
    Gst.init(None)
    Publisher(*sys.argv[1:4], (sys.argv[4], sys.argv[5]), *sys.argv[6:]).run()

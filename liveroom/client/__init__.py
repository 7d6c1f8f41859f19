"""A viewer from the other side: connects, says hello, asks, listens, and comes back after a cut."""

from liveroom.client.backoff import pause_s
from liveroom.client.clock import Clock
from liveroom.client.closes import (
    CUT,
    BadToken,
    Banned,
    Closed,
    Lost,
    NoRoom,
    ProtocolFault,
    Replaced,
    Unreachable,
    after,
    closed,
)
from liveroom.client.link import Message, socket_url, unpacked
from liveroom.client.news import Place
from liveroom.client.replies import Unanswered
from liveroom.client.viewer import Viewer
from liveroom.protocol import After

__all__ = [
    "CUT",
    "After",
    "BadToken",
    "Banned",
    "Clock",
    "Closed",
    "Lost",
    "Message",
    "NoRoom",
    "Place",
    "ProtocolFault",
    "Replaced",
    "Unanswered",
    "Unreachable",
    "Viewer",
    "after",
    "closed",
    "pause_s",
    "socket_url",
    "unpacked",
]

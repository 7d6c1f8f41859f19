"""A room on socketify (µWebSockets): subscribe, then publish to the topic. Run: socketify_room.py PORT."""

# socketify carries no types and lives in the peers' own environment.
# mypy: disable-error-code="import-not-found, import-untyped"

import sys
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

app = App()


def seat(socket: Any) -> None:
    socket.subscribe("room")


def say(socket: Any, message: str, opcode: int) -> None:
    app.publish("room", message, OpCode.TEXT)


# Without automatic pings µWebSockets cuts a viewer that only listens; its default backlog of 64 KiB would drop
# comments in a burst the socket could still take.
app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        "idle_timeout": 60,
        "send_pings_automatically": True,
        "max_backpressure": 1024 * 1024,
        "open": seat,
        "message": say,
    },
)

if __name__ == "__main__":
    app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
    app.run()

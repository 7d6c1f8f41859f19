"""A room on Starlette: every text is sent to one socket after the other. Run: starlette_room.py PORT."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

room: set[WebSocket] = set()


async def tell(text: str) -> None:
    for socket in list(room):
        try:
            await socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            room.discard(socket)


async def viewer(socket: WebSocket) -> None:
    await socket.accept()
    room.add(socket)
    try:
        async for text in socket.iter_text():
            await tell(text)
    finally:
        room.discard(socket)


app = Starlette(routes=[WebSocketRoute("/", viewer)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", log_level="warning")

"""A room on `websockets`: every text is handed to `broadcast()`. Run: websockets_room.py PORT."""

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

room: set[ServerConnection] = set()


async def viewer(socket: ServerConnection) -> None:
    room.add(socket)
    try:
        async for message in socket:
            broadcast(room, message)
    finally:
        room.discard(socket)


async def main(port: int) -> None:
    async with serve(viewer, "127.0.0.1", port, backlog=2048) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

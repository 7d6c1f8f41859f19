"""The client's half of a WebSocket, as bytes: the upgrade request and masked frames."""

import base64

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

# A mask of zeros is valid, costs the server as much as any other, and spares the client the XOR.
MASK = b"\0\0\0\0"


def upgrade(port: int, path: str, subprotocol: str = "", extensions: str = "") -> bytes:
    key = base64.b64encode(b"liveroom-crowd-0").decode()
    offered = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    offered += f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offered}\r\n"
    ).encode()


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One final, masked frame of at most 64 KiB."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + MASK + payload

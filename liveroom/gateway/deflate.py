"""permessage-deflate without context takeover, so that one compressed frame serves all who negotiated it."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.typing import ExtensionParameter

from liveroom.protocol import DEFLATE_BITS


class SharedDeflate(ServerPerMessageDeflateFactory):
    """Neither side remembers a message; an offer of a smaller window than that of the shared frames is declined."""

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < DEFLATE_BITS:
            raise NegotiationError(f"frames are made for a window of {DEFLATE_BITS} bits")
        return answer, extension

"""What ordinary people say in such a room."""

from __future__ import annotations

LINES = (
    *("that colour is lovely", "does it come in blue?", "how long does shipping take?", "what size are you wearing?"),
    *("这个好看", "有蓝色的吗", "什么时候发货", "能再看一下背面吗", "上次买的很好用", "haha", "第一次来", "so soft"),
)

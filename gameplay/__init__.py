"""The menu: every play of the house, one line each."""

from gameplay import danmaku, likes

PLAYS = (danmaku.PLAY, likes.PLAY)

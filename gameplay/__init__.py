"""The menu: every play of the house, one line each."""

from gameplay import count, danmaku, likes, lottery, moderation, questions, quiz, sale, sprint

PLAYS = (
    danmaku.PLAY,
    moderation.PLAY,
    likes.PLAY,
    questions.PLAY,
    lottery.PLAY,
    quiz.PLAY,
    sprint.PLAY,
    count.PLAY,
    sale.PLAY,
)

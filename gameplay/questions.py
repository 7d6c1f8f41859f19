"""Questions in the chat: which comments ask something, which of them ask the same, and what waits longest.

Two tables do the work. ``IDLE`` takes away words that look like asking and do not ("how nice", "怎么这么好看"); what is
left asks if ``ASKS`` finds something. For "the same" a comment becomes a handful of words: what everybody adds is
dropped, what means the same becomes one word. How good that is, is measured in ``tests/questions``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, pairwise

from msgspec import Struct, field

from gameplay.play import Event, Flow
from gameplay.text import folded

NEWEST = 20  # comments of a group that are named
ALIKE = 0.7  # of the words of two questions, how much they share
LEAST = ALIKE / (2 - ALIKE)  # so of each question at least that much
KEPT_FEATURES = 4096
MOST_FILLS = 3

# --- which comments ask ----------------------------------------------------------------------------

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
END = rf"(?=[^\w{HAN}]*$)"  # but for signs and pictures, the end of the comment

IDLE_HAN = (
    r"没(?:有)?(?:什么|啥|多少|几)|(?:不管|无论)\S*|再怎么|不怎么|凭什么|想什么|说什么(?!时候)",
    r"(?:什么|啥)(?:时候)?(?:都(?!能|可)|也|鬼|神仙|玩意|的$)",
    r"怎么(?:\S{0,2}都|这么|那么|也|会|能|可能|可以这么|好意思)",
    r"多少(?:\S{0,3}都|也|有点|次|回|年)|有多少\S*多少|(?<=[好十这前过了些上])几|几(?:乎|\S{1,2}(?:就|也))|有几\S(?:很|真|都|太|挺|不错)",
    r"谁(?:都|也|不|懂|还|能拒绝|家|了)|哪(?:都|里都|里哪里|有|能|像|怕|吒|敢)|哪\S补哪|[天老]哪",
    r"(?<=[很太好更许那这差])多[久大长高重宽厚远]|多(?:大点|大的事|重优惠|重要)",
    r"动不动|时不时|巴不得|差不多|买不买都|对不起|要不[起是然]|[才也就都决绝]不",
    r"(?<![不谁])知道(?:怎么|什么|多少|哪|谁|几)\S*",
)
ASKS_HAN = (
    r"吗|请问|想问|问下|问一下|求问|是否|能否|可否|为什么|为啥|为何|干嘛",
    r"什么|啥|怎么|怎样|咋(?![这那])|多少|几|哪|谁|何时",
    r"多(?:久|大|长|高|重|宽|厚|远|深)",
    rf"([{HAN}])不\1|有没有|[{HAN}]没(有)?{END}(?<=了没|货没|码没|绒没|抽没)|(?:了|有\S{{0,4}})没有{END}|还有没有",
    rf"(?<![就真])[{HAN}](?<![什怎这那多要])么(?:主播|[啊呀亲姐])?{END}|[有能会]嘛{END}",
    rf"[{HAN}]{{2}}(?<![才也就都从决绝偏要了])不{END}",
    rf"^[^\s还正才真可好都就在着了的得没不我早已]{{1,5}}呢{END}",
)

START = r"^(?:(?:hi|hey|hello|host|pls|please|so|and|but|ok|okay|um|btw|sorry|also|excuse me|sis|bro)\b[ ,!.]*)*"
NOUNS = "shipping|delivery|price|size|returns|stock|payment|tax|color|colour|quality|sizing"
ONES = rf"i|you|u|ya|we|it|this|that|they|he|she|the|these|those|there|my|your|any|anyone|anybody|{NOUNS}"
KNOWS = r"(?:know|knew|see|care|love|matter|explains?|asked|tell you|check|believe|exactly|just|this is|thats?|that's)"
MUCH = r"much|many|long|big|tall|often|soon|far|old|thick|heavy|fast|late|early|wide|deep|large|small|hot|loud|strong"
SHADES = r"size|color|colour|shade|time|kind|brand|model|material|type|one|ones|percent|currency|flavou?r"

IDLE_LATIN = (
    rf"\b{KNOWS} (?:how|what|which|where|why|when|if)\b.*",
    r"\bno matter (?:how|what|which|where|when)\b.*",
    rf"^(?:what|how) an? .*|^what the .*|^how (?!(?:{MUCH}|do|does|did|is|are|can|could|to|come|about|will|would)\b).*",
    r"^which is why.*|^who(?:ever)? (?:cares|knows|wins).*|^why not\b.*|^can(?:'|no)?t? (?:wait|confirm)\b.*",
    r"^any(?:one|body) who\b.*",
)
ASKS_LATIN = (
    rf"{START}how (?:{MUCH}|do|does|did|is|are|can|could|to|come|about|will|would)\b",
    rf"{START}what(?:'s|s)?(?: (?:is|are|was|s|about|if|do|does|did|will|would|can|should|happens|r|{SHADES})\b"
    r"|(?<=s) )",
    rf"{START}when(?:'s|s)?(?: (?:is|are|will|do|does|did|can|would|should|was)\b|(?<=s) )",
    rf"{START}where(?:'s|s)?(?: (?:is|are|can|do|does|did|to|from|was|u|you|should)\b|(?<=s) )",
    rf"{START}(?:why|whose)\b|{START}who(?:'s|s)?(?: (?:is|are|has|made|makes|sells|owns)\b|(?<=s) )",
    rf"{START}which (?:{SHADES}|is|are|do|does|of|link|product|number)\b",
    rf"{START}(?:can|could|will|would|should|may|shall)(?:n'?t)? (?:{ONES})\b(?! wait)",
    rf"{START}(?:do|does|did|don'?t|doesn'?t|didn'?t) (?:{ONES})\b(?<!do it)(?<!does what)",
    rf"{START}(?:is|are|was|were|isn'?t|aren'?t|wasn'?t) (?:{ONES})\b",
    rf"{START}(?:has|have|had|haven'?t|hasn'?t) (?:{ONES})\b(?<!have it)(?<!have this)(?<!have these)(?<!have the)",
    rf"{START}any (?:\w+ )?(?:chance|left|discounts?|coupons?|codes?|sizes?|chart|idea|news|restocks?|way|warranty|tips"
    r"|difference|recommendations?|reviews?|deals?|gifts?)\b",
    rf"{START}any(?:one|body|thing) (?:tried|know|knows|else|bought|using|here|used|have|has|got|can|new)\b",
    rf"\b(?:what|which) (?:{SHADES})\b|\bhow (?:much|many|long|do i|do you|can i|to order)\b|\bwhere (?:can|do) i\b",
    r"(?<!glad )(?<!so )\b(?:can i (?:get|use|wash|return|have|order|pay)|can you (?:show|ship|tell|do)"
    r"|(?:is|are) there|do you (?:have|ship|sell)|does (?:it|this) (?:have|come|fit|work|run|shrink))\b",
)

HAS_HAN = re.compile(f"[{HAN}]")
WORDS = re.compile(rf"[a-z0-9]+(?:['.][a-z0-9]+)*|[{HAN}]+")
MARKED = re.compile(r"\?[^\w]*$")
EXCLAIMS = re.compile(r"^(?:[啊嗯哦哈诶欸额呃]+|huh|what|wat|eh|hm+|um+|oh|lol|omg|wow)$")
IDLE = tuple(re.compile("|".join(table)) for table in (IDLE_LATIN, IDLE_HAN))
ASKS = tuple(re.compile("|".join(table)) for table in (ASKS_LATIN, ASKS_HAN))


def is_question(text: str) -> bool:
    """Whether a comment asks something that a host could answer."""
    plain = folded(text)
    words = WORDS.findall(plain)
    if not words or EXCLAIMS.match("".join(words)):
        return False
    if MARKED.search(plain):
        return True
    latin = not HAS_HAN.search(plain)
    idle, asks = (IDLE[0], ASKS[0]) if latin else (IDLE[1], ASKS[1])
    return bool(asks.search(idle.sub(" ", plain)))


# --- which ask the same ------------------------------------------------------------------------------

SAME_HAN = (  # in this order: longer ones first
    ("多少", "多少钱|多钱|几块钱|怎么卖|什么价格?|价格(?:是)?多少|多少米|售价多少"),
    ("何时", "什么时候|啥时候|什么时间|几时"),
    ("几天", "多少天|多久(?:能|可以)?(?:到|发货?)|几天(?:能|可以)?到"),
    ("怎么", "怎样|咋样?|如何"),
    ("什么", "啥"),
    ("能", "能不能|可不可以|可以|能否|可否|支持不支持"),
    ("有", "有没有|还有|有木有"),
    ("会", "会不会"),
    ("是", "是不是|是否"),
    ("码", "尺码|尺寸|大小"),
    ("券", "优惠券|优惠卷|卷"),
    ("哪", "哪里|哪儿|在哪"),
    ("面料", "材质|料子|材料"),
    ("退货", "退换货?|退"),
    ("包邮", "免邮费?|免运费"),
)
FILL_HAN = re.compile(
    "主播|老师|小姐姐|姐姐|姐妹|家人们|亲们|宝子|宝贝|宝宝们|请问|想问|问一下|问下|求问|一下|你好|您好|这个|那个|这款|那款"
    "|这件|那件|这条|这双|现在|谢谢|麻烦|告诉我|你们|咱们|没有$|[啊呀呢吗嘛吧哦噢么哈了的是个们亲姐哥没不这那我家件]+$"
    "|^[这那我亲姐]+|[的呀啊了就是你]+|会(?!员)"
)
SAME_LATIN = {
    **dict.fromkeys(["u", "ya"], "you"),
    **dict.fromkeys(["colour", "colors", "colours"], "color"),
    **dict.fromkeys(["whats", "what's"], "what"),
    **dict.fromkeys(["wheres", "where's"], "where"),
    **dict.fromkeys(["whens", "when's"], "when"),
    **dict.fromkeys(["ships", "shipped", "ship", "shipping", "delivery", "delivered", "deliver"], "ship"),
    **dict.fromkeys(["sizes", "sizing"], "size"),
    **dict.fromkeys(["coupons", "discount", "discounts", "code", "codes"], "coupon"),
    **dict.fromkeys(["returns", "refund"], "return"),
    **dict.fromkeys(["restocked", "restocks"], "restock"),
    **dict.fromkeys(["costs", "cost"], "howmuch"),
}
FILL_LATIN = re.compile(
    r"a|an|the|is|are|am|was|it|its|this|that|these|those|for|of|to|in|on|at|do|does|did|i|you|me|my|your|we|us"
    r"|they|please|pls|plz|hi|hello|hey|host|so|and|but|or|be|been|can|could|will|would|should|may|there|have|has"
    r"|had|get|got|just|also|really|sis|bro|thanks|thank|ok|okay|with|how's|here|now|one|ones|going"
)
HOW = re.compile(rf"\bhow ({MUCH})\b")
TIMELESS = re.compile("|".join(f"(?P<s{n}>{words})" for n, (_, words) in enumerate(SAME_HAN)))
ASKING = re.compile("多少|何时|几天|几点|几号|怎么|什么|哪|谁|多久|多大|多高|多重|几")
NUMBER = re.compile(r"\d")
DOUBLED = re.compile(rf"([{HAN}])不\1")


def words_of(text: str) -> list[str]:
    """What a question is about, in its order: without what everybody adds."""
    found: list[str] = []
    plain = folded(text)
    for word in WORDS.findall(HOW.sub(r"how\1", plain)):
        found += han_words(word) if HAS_HAN.match(word) else latin_words(word)
    return found or WORDS.findall(plain)


def latin_words(word: str) -> list[str]:
    same = SAME_LATIN.get(word, word)
    return [] if FILL_LATIN.fullmatch(same) else [same]


def han_words(run: str) -> list[str]:
    run = TIMELESS.sub(lambda found: SAME_HAN[int((found.lastgroup or "s0")[1:])][0], run)
    run = DOUBLED.sub(r"\1", run)
    for _ in range(MOST_FILLS):  # what is left behind one that was dropped may be another
        run = FILL_HAN.sub("", run)
    parts: list[str] = []
    end = 0
    for found in ASKING.finditer(run):
        parts += [run[end : found.start()], found[0]]
        end = found.end()
    return [part for part in (*parts, run[end:]) if part]


@lru_cache(KEPT_FEATURES)
def features(text: str) -> frozenset[str]:
    """A question as a handful of words and pairs of Chinese characters."""
    found: set[str] = set()
    for word in words_of(text):
        long = len(word) > 2 and HAS_HAN.match(word)
        found.update(map("".join, pairwise(word)) if long and not ASKING.fullmatch(word) else [word])
    return frozenset(found)


def fingerprint(text: str) -> str:
    """Equal for questions that differ in nothing but what everybody adds."""
    return blake2b(" ".join(words_of(text)).encode(), digest_size=8).hexdigest()


def numbers(words: frozenset[str]) -> set[str]:
    return {word for word in words if NUMBER.search(word)}


def alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two questions, by their features, ask the same: not when they differ in a number."""
    return numbers(a) == numbers(b) and 2 * len(a & b) >= ALIKE * (len(a) + len(b))


# --- what waits ----------------------------------------------------------------------------------------


class Asker(Struct, frozen=True, array_like=True, gc=False):
    """One comment that asks: its id, who said it, his name, what he said and when, in ms of room time."""

    id: str
    viewer: str
    name: str
    text: str
    at: int


class Asked(Struct, frozen=True, gc=False):
    """One question in the same words, as it is kept: the first who asked, and the newest, oldest first.

    Whoever is among the newest is one viewer however often he asks.
    """

    first: Asker
    last: int
    times: int
    viewers: int
    askers: tuple[Asker, ...]


class Question(Struct, frozen=True):
    """A question that waits for an answer, as the first asked it; in how many comments, of how many viewers, since when
    (``asked``, in epoch ms). ``ids`` are the newest of these comments."""

    id: str
    text: str
    from_: str = field(name="from")
    name: str
    asked: int
    waiting_ms: int
    times: int
    viewers: int
    ids: tuple[str, ...]


class Unanswered(Struct, frozen=True):
    """All questions that wait, as HTTP tells them."""

    questions: tuple[Question, ...]
    now: int


class Live(Event, frozen=True, tag="questions.live"):
    """To staff, when it changed: what waits, most asked first; ``more`` are left out."""

    delivery = "private"

    questions: tuple[Question, ...]
    now: int
    more: int = 0


PLAY = Flow((), (Live,))


def grouped(kept: Mapping[str, Asked]) -> list[list[str]]:
    """The fingerprints of what is kept, those that ask the same together; the oldest begins a group.

    The same on every node: by age, each goes to the group whose beginning it is most like.
    """
    groups: list[list[str]] = []
    begins: list[frozenset[str]] = []
    having: defaultdict[str, list[int]] = defaultdict(list)  # word -> groups
    for name in sorted(kept, key=lambda one: (kept[one].first.at, kept[one].first.id)):
        own = features(kept[name].first.text)
        shared = Counter(chain.from_iterable(having[word] for word in own))
        near = [number for number, n in shared.items() if n >= LEAST * len(own) and alike(own, begins[number])]
        if near:
            best = min(near, key=lambda number: (-shared[number] / (len(begins[number]) + len(own)), number))
            groups[best].append(name)
            continue
        for word in own:
            having[word].append(len(groups))
        groups.append([name])
        begins.append(own)
    return groups


def waiting(kept: Mapping[str, Asked], now: int) -> list[Question]:
    """What waits: asked by the most first, then what waits longest."""
    found = [together([kept[name] for name in group], now) for group in grouped(kept)]
    return sorted(found, key=lambda one: (-one.viewers, one.asked, one.id))


def together(group: Sequence[Asked], now: int) -> Question:
    """Several wordings of one question; the first speaks for all."""
    first = group[0].first
    askers = sorted((one for asked in group for one in asked.askers), key=lambda one: one.id)
    seen = Counter(viewer for asked in group for viewer in {one.viewer for one in asked.askers})
    again = sum(times - 1 for times in seen.values())
    return Question(
        first.id,
        first.text,
        first.viewer,
        first.name,
        first.at,
        max(0, now - first.at),
        sum(one.times for one in group),
        sum(one.viewers for one in group) - again,
        tuple(one.id for one in askers[-NEWEST:]),
    )


def holding(kept: Mapping[str, Asked], comment: str) -> list[str]:
    """The fingerprints of the group that a comment belongs to; empty where it is none of those that are named."""
    for group in grouped(kept):
        if asker_of((kept[name] for name in group), comment):
            return group
    return []


def asker_of(kept: Iterable[Asked], comment: str) -> Asker | None:
    """Who asked with this comment."""
    return next((one for asked in kept for one in (asked.first, *asked.askers) if one.id == comment), None)

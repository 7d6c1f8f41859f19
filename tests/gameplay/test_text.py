"""Text is measured in what a reader sees, shown as it was typed, and compared without its disguises."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gameplay.danmaku import too_much
from gameplay.play import Code
from gameplay.text import folded, graphemes, most_marks, shown, typed

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
ACUTE = "\u0301"
BIDI_CONTROLS = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


# measured


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", 0),
        ("abc", 3),
        ("a b", 3),
        ("\u00e9", 1),
        ("e" + ACUTE, 1),
        ("e" + ACUTE * 4, 1),
        (ACUTE, 1),
        ("你好，世界", 5),
        ("\U0001f44d\U0001f3fd", 1),  # a thumb with a skin
        ("\U0001f44d\U0001f44d", 2),
        (FAMILY, 1),
        (FAMILY + FAMILY, 2),
        (f"a{FAMILY}b", 3),
        ("\u2764\ufe0f\u200d\U0001f525", 1),  # a heart on fire
        ("1\ufe0f\u20e3", 1),  # keycaps
        ("1\ufe0f\u20e32\ufe0f\u20e3", 2),
        ("🇩🇪", 1),
        ("🇩🇪🇫🇷", 2),
        ("🇩🇪🇫", 2),
        ("a🇩🇪b🇫🇷", 4),
        ("\u0915\u093f", 1),  # Devanagari ki: the vowel takes room of its own
        ("\u0928\u092e\u0938\u094d\u0924\u0947", 4),  # namaste
        ("\u0e01\u0e35\u0e48", 1),  # Thai: a vowel and a tone over one letter
        ("\ud55c\uae00", 2),  # Hangul syllables
        ("\u1112\u1161\u11ab", 1),  # the first of them as three jamo
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", 2),
        ("\ud558\u11ab", 1),  # a syllable without its last jamo, and that jamo
        ("\uac00\u11a8\ud7a3", 2),
        ("\u1161", 1),
        ("a\u1161", 2),
    ],
)
def test_what_a_reader_sees_as_one_counts_once(text: str, seen: int):
    assert graphemes(text) == seen


@pytest.mark.parametrize(("text", "seen"), [(ENGLAND, 1), (PERSIAN, 7)], ids=["England", "Persian"])
def test_flags_of_countries_within_countries_and_persian_joints_count_once(text: str, seen: int):
    assert graphemes(text) == seen


@given(st.text(), st.text())
def test_more_text_is_never_seen_as_less(text: str, more: str):
    assert graphemes(text) <= graphemes(text + more) <= len(text + more)


@pytest.mark.parametrize(
    "mark",
    ["\u0e47", "\u0e34", "\u0947", "\u20e3", "\u1a7f", "\u0f39", ACUTE],
)
def test_whatever_stacks_is_a_mark(mark: str):
    assert most_marks("\u0e01" + mark * 199) == 199
    refusal = too_much("\u0e01" + mark * 199)
    assert refusal is not None
    assert refusal.code is Code.TEXT_TOO_LONG


@pytest.mark.parametrize(
    "text",
    [
        "ขอบคุณมากนะครับ ที่นี่ดีที่สุดเลย น้ำ ผู้ใหญ่ ก็ได้",
        "नमस्ते, क्या यह उपलब्ध है? ज़रूर, क्यों नहीं! र्क्ष्म्यै",
        "اللَّهُ أَكْبَرُ، بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ",
        "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים",
        "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ། བསྒྲུབས་པ",
        "မြန်မာ ကြောင့် မြွှေ့",
        "ស្រ្តី ខ្ញុំស្រឡាញ់",
        unicodedata.normalize("NFD", "Tiếng Việt rất hay, ế ệ ữ"),
        f"{FAMILY}\U0001f44d\U0001f3fd🇩🇪{ENGLAND}1\ufe0f\u20e3\u2764\ufe0f\u200d\U0001f525",
    ],
)
def test_ordinary_text_of_any_script_is_not_too_much(text: str):
    assert most_marks(text) <= 4
    assert too_much(text) is None


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("", 0),
        ("plain", 0),
        ("你好", 0),
        ("\u00e9", 0),
        ("e" + ACUTE, 1),
        ("e" + ACUTE + "e" + ACUTE, 1),
        ("e" + ACUTE * 7 + "e", 7),
        ("1\ufe0f\u20e3", 1),
        ("a\u0489", 1),  # millions: an enclosing mark
        (FAMILY, 0),
    ],
)
def test_marks_are_counted_by_base(text: str, marks: int):
    assert most_marks(text) == marks


@pytest.mark.parametrize("unseen", ["\u034f", "\ufe0f", "\u200d", "\u200b"])
def test_an_unseen_character_is_no_new_base(unseen: str):
    assert most_marks("e" + (ACUTE * 4 + unseen) * 10) == 40


# shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("  hello  ", "hello"),
        ("a\nb\r\nc\td", "a b c d"),
        ("a   b", "a b"),
        ("\u3000买它\u3000", "买它"),
        ("a\u2028b\u2029c", "a b c"),
        ("a\x00b\x07c\x1bd\x7fe\x9bf", "abcdef"),
        ("abc\u202edef\u202c", "abcdef"),
        ("\u2066a\u2069\u200eb\u200fc\u061cd", "abcd"),
        ("\ufff9a\ufffab\ufffb", "ab"),
        ("half\ud83d", "half"),
        ("中文，全角！", "中文，全角！"),
        (f"we are {FAMILY}", f"we are {FAMILY}"),
        ("\u2764\ufe0f 1\ufe0f\u20e3 🇩🇪", "\u2764\ufe0f 1\ufe0f\u20e3 🇩🇪"),
        ("ＡＢＣ ﬁ ß", "ＡＢＣ ﬁ ß"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
    ],
)
def test_what_is_shown_is_without_tricks(text: str, seen: str):
    assert shown(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("  a  b\u3000c ", "a  b\u3000c"),
        ("a\r\nb\n\nc\td\u2028e\x85f\x1cg", "a b  c d e f g"),
        ("⠓⠊\u2800⠽⠕⠥", "⠓⠊\u2800⠽⠕⠥"),
        ("\u2066a\x00 b\u202e", "a b"),
    ],
)
def test_a_comment_keeps_its_blanks_on_one_line(text: str, seen: str):
    assert typed(text) == seen


@pytest.mark.parametrize("clean", [shown, typed])
@given(text=st.text(st.characters()))
def test_what_is_shown_is_one_trimmed_line_that_turns_nothing_around(clean: Callable[[str], str], text: str):
    seen = clean(text)
    assert seen == seen.strip()
    assert len(seen.splitlines()) <= 1
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in seen)
    assert not any(unicodedata.bidirectional(char) in BIDI_CONTROLS for char in seen)



@pytest.mark.parametrize("text", ["\u200b", "\u2060\ufeff", "\u3164", "\u200d\u200d", "\u2800", "\u2800 \u2800"])
def test_a_text_that_nobody_sees_is_empty(text: str):
    refusal = too_much(typed(text))
    assert refusal is not None
    assert refusal.code is Code.TEXT_EMPTY


# folded

FOLDS = [
    ("", ""),
    ("Hello", "hello"),
    ("  Buy   IT ", "buy it"),
    ("ＢＵＹ　ＩＴ", "buy it"),
    ("ﬁne", "fine"),
    ("①②Ⅷ", "12viii"),
    ("Straße", "strasse"),
    ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
    ("e" + ACUTE, "\u00e9"),
    ("b\u200bu\u200cy\u00ad \u2060it\ufeff", "buy it"),
    ("b\u202euy\u202c", "buy"),
    ("buy\x00\x07", "buy"),
    ("\u2764\ufe0f", "\u2764"),
    ("buy\U000e0041", "buy"),
    ("\u3164", ""),
    ("抽奖", "抽奖"),
    ("１２３", "123"),
]


@pytest.mark.parametrize(("text", "compared"), FOLDS)
def test_texts_are_compared_without_case_width_and_disguise(text: str, compared: str):
    assert folded(text) == compared


@pytest.mark.parametrize("compared", [compared for _, compared in FOLDS])
def test_what_is_folded_stays_as_it_is(compared: str):
    assert folded(compared) == compared


@given(st.text())
@example("e\u200b" + ACUTE)
@example("\u1112\u200b\u1161")
def test_folding_twice_is_folding_once(text: str):
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize("typed", ["buy\nit", "buy\tit", "buy\r\nit"])
def test_a_line_break_is_a_blank_also_in_what_is_compared(typed: str):
    assert folded(typed) == folded(shown(typed)) == "buy it"

"""A word is found in any dress, but not in other words, and not in two that happen to make it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gameplay.play import Code, Refusal
from gameplay.wordlist import WordList, blocked, read_list, room_words
from gameplay.words import MOST_CODE_POINTS, Word, read_word

ANY_WORD = st.text(max_size=20) | st.text(st.sampled_from("aAl1I!@$ oO0.,-_*\u200b\u0336éß微信かが\u1112\u1161가🅰🇦①Ѕ"))


def listed(*words: str) -> WordList:
    made = read_list(words, "words.txt")
    assert not made.broken
    return made


def holds(word: str, text: str) -> bool:
    return blocked(text, [listed(word)]) is not None


# Latin words


@pytest.mark.parametrize("text", ["bad", "BAD!", "so bad, no", "bad微信", "bad4", "4bad", "bad-ish", "(bad)", "bad's"])
def test_a_word_is_found_where_it_stands_alone(text: str):
    assert holds("bad", text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ass", "class"),
        ("ass", "assess"),
        ("sex", "Essex"),
        ("rapist", "therapist"),
        ("bad", "badly"),
        ("shit", "push it"),
        ("ass", "as salt"),
        ("ass", "as $5"),
        ("hell", "he'll"),
        ("penis", "the pen is"),
        ("wechat", "we chat"),
        ("idiot", "id iot"),
        ("bad", "bäder"),
    ],
)
def test_other_words_are_left_alone(word: str, text: str):
    assert not holds(word, text)


@pytest.mark.parametrize("text", ["b a d", "b.a.d", "b-a-d", "B_A_D", "b 🙂 a 🙂 d", "so b a d"])
def test_a_word_that_is_spelled_is_read(text: str):
    assert holds("bad", text)


@pytest.mark.parametrize(
    ("word", "cut", "read"),
    [
        ("fak", "f-ak", False),
        ("fake", "fa-ke", True),
        ("fake", "fa.ke", False),
        ("wechat", "we.chat", True),
        ("wechat", "w echat", True),
        ("telegram", "tele gram", True),
    ],
)
def test_the_longer_a_word_the_wider_a_gap_it_is_read_across(word: str, cut: str, read: bool):
    assert holds(word, cut) == read


@pytest.mark.parametrize("text", ["b4d", "B@D", "8ad", "b@d!", "🇧🇦🇩", "b4d4"])
def test_digits_and_signs_stand_for_letters(text: str):
    assert holds("bad", text)


@pytest.mark.parametrize(("word", "text"), [("ass", "a55"), ("bass", "8455"), ("ass", "$5"), ("scat", "top5cat")])
def test_a_number_with_a_letter_is_no_word(word: str, text: str):
    assert not holds(word, text)


def test_a_number_is_no_longer_number():
    assert holds("110", "dial 110 now")
    assert not holds("110", "1100")
    assert not holds("vx110", "vx11000")
    assert not holds("110", "lio")


@pytest.mark.parametrize(
    ("word", "text", "read"),
    [
        ("god", "good", False),
        ("god", "goood", True),
        ("good", "god", False),
        ("good", "gooood", True),
        ("idiots", "iddiots", True),
        ("bad", "bad dog", True),
        ("dog", "bad dog", True),
        ("bee", "be easy", False),
        ("bee", "be e", False),
        ("idiots", "idi iots", False),
        ("spines", "splines", False),
    ],
)
def test_letters_may_be_repeated_but_not_made_of_others(word: str, text: str, read: bool):
    assert holds(word, text) == read


@pytest.mark.parametrize(
    ("word", "text", "read"),
    [("telegram", "teIegram", True), ("fail", "fall", False), ("fail", "fa1l", True), ("fall", "fa1l", True)],
)
def test_an_l_is_an_i_in_long_words_only(word: str, text: str, read: bool):
    assert holds(word, text) == read


@pytest.mark.parametrize("text", ["Free   Money", "freemoney", "free-money", "f r e e money", "fr33 m0n3y"])
def test_the_words_of_a_phrase_may_be_joined_and_parted(text: str):
    assert holds("free money", text)


@pytest.mark.parametrize("text", ["carefree money", "free moneybox", "money free", "free some money"])
def test_a_phrase_is_its_words_in_their_order(text: str):
    assert not holds("free money", text)


@pytest.mark.parametrize(
    ("word", "text", "read"),
    [
        ("scam*", "scammers", True),
        ("scam*", "ascam", False),
        ("*scam", "megascam", True),
        ("*scam", "scams", False),
        ("*scam*", "megascams", True),
        ("sc*am", "sc am", True),
    ],
)
def test_a_star_opens_a_side(word: str, text: str, read: bool):
    assert holds(word, text) == read


@pytest.mark.parametrize(
    ("word", "text", "read"),
    [("qq", "qq群", True), ("qq", "QQ", True), ("qq", "aqq", False), ("qq", "q", False), ("qq", "qqqq", True)],
)
def test_a_word_of_one_letter_repeated_is_found(word: str, text: str, read: bool):
    assert holds(word, text) == read


# scripts without blanks


@pytest.mark.parametrize("text", ["微信", "我的微信号", "加我微信88", "微微信信", "微 信", "加我微 信88", "微❤信我"])
def test_a_chinese_word_is_found_anywhere(text: str):
    assert holds("微信", text)


@pytest.mark.parametrize("text", ["稍微 信我", "略微，信了", "信微", "微"])
def test_two_characters_of_different_words_are_no_word(text: str):
    assert not holds("微信", text)


@pytest.mark.parametrize("text", ["加微信", "加 微 信", "加微，信", "请加微 信我"])
def test_three_characters_are_read_across_any_gap(text: str):
    assert holds("加微信", text)


@pytest.mark.parametrize(("text", "read"), [("加vx", True), ("加VX88", True), ("加 v x", True), ("加vxyz", False)])
def test_where_latin_ends_a_mixed_word_it_ends_with_it(text: str, read: bool):
    assert holds("加vx", text) == read


@pytest.mark.parametrize(
    ("word", "text", "read"),
    [("바보", "바보야", True), ("바보", "바본", False), ("はか", "はかり", True), ("はか", "はが", False)],
)
def test_a_syllable_is_found_whole(word: str, text: str, read: bool):
    assert holds(word, text) == read


# what may be a word


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a", "one letter"),
        ("的", "one letter"),
        ("가", "one letter"),
        ("ａ", "one letter"),
        ("***", "no letters"),
        ("🏽", "no letters"),
        ("\u200b.", "no letters"),
        ("18", "digits"),
        ("sex*", "letters"),
        ("half\ud83d", "UTF-8"),
        ("x" * (MOST_CODE_POINTS + 1), "longer"),
        ("\ufdfa" * 30, "folded"),
    ],
)
def test_what_nearly_every_comment_would_hold_is_refused(line: str, why: str):
    word = read_word(line)
    assert isinstance(word, str)
    assert why in word


@pytest.mark.parametrize("line", ["ab", "微信", "qq", "110", "c3", "x" * MOST_CODE_POINTS, "sexy*", "加微*"])
def test_what_may_be_a_word(line: str):
    assert isinstance(read_word(line), Word)


@given(ANY_WORD)
@example("q q")
@example("0o")
@example("1l")
@example("sh!t")
@example("\u3099か")
@example("微 信")
def test_a_word_is_found_in_itself(written: str):
    if isinstance(read_word(written), Word):
        assert holds_word(written, written)
        assert holds_word(written, f"  {written} ")


def holds_word(written: str, text: str) -> bool:
    made = room_words([written])
    assert isinstance(made, WordList)
    return blocked(text, [made]) is not None


@given(st.text() | ANY_WORD)
def test_no_text_raises(text: str):
    blocked(text, [listed("bad", "free money", "微信", "qq", "*scam*", "加vx", "바보")])


@given(st.lists(ANY_WORD, max_size=5), ANY_WORD)
def test_no_list_raises(lines: list[str], text: str):
    made = read_list(lines, "words.txt")
    assert made.size + len(made.broken) <= len(lines)
    blocked(text, [made])


@given(st.integers(1, 400), st.sampled_from(["q", "q ", "qi", "微", "微 ", "ass ", "1l", "!|"]))
def test_a_long_text_is_read_in_steps_that_grow_as_it_does(times: int, part: str):
    """Whatever is repeated: each entry is compared once for each place where its key ends, over its own letters."""
    made = listed("qq", "qi", "微微", "assass", "lil", "ilili*")
    steps = Steps(made)
    blocked(part * times, [made])
    assert steps.taken <= 30 * len(part) * times


class Steps:
    """Counts the entries that are compared."""

    def __init__(self, words: WordList) -> None:
        self.taken, self.automaton = 0, words.automaton
        words.automaton = self

    def iter(self, text: str):
        for last, found in self.automaton.iter(text):
            self.taken += len(found)
            yield last, found


# lists


def test_a_list_tells_which_entry_a_comment_holds():
    words = read_list(["# insults", "", "bad", "Free  Money"], "words.txt")
    assert blocked("FREE MONEY", [words]) == ("Free  Money", 4, "words.txt")


def test_broken_lines_are_skipped_and_told():
    words = read_list(["bad", "x", "[zh", "[not a locale]", "good"], "words.txt")
    assert (words.size, [one.line for one in words.broken]) == (2, [2, 3, 4])
    assert "[zh]" in words.broken[1].why


@pytest.mark.parametrize("first", ["# remark", "[en]"])
def test_a_mark_of_byte_order_is_no_part_of_the_first_line(first: str):
    assert listed(f"\ufeff{first}", "bad").size == 1


def test_a_section_is_for_those_who_speak_it():
    words = read_list(["all", "[zh]", "chinese", "[en-GB]", "british", "[*]", "too"], "words.txt")
    assert not words.broken
    for text, locale, read in [
        ("all", "de", True),
        ("too", "de", True),
        ("chinese", "de", False),
        ("chinese", "zh", True),
        ("chinese", "zh-CN", True),
        ("chinese", "zhx", False),
        ("chinese", "", True),
        ("british", "en-GB", True),
        ("british", "en", False),
    ]:
        assert (blocked(text, [words], locale) is not None) == read, (text, locale)


def test_what_is_written_twice_counts_once():
    assert listed("bad", "BAD", "bad", "b-ad").size == 2
    assert listed("bäd", "badx*", "badx").size == 3


def test_words_of_one_key_are_told_apart():
    words = listed("fail", "fall")
    assert blocked("fall", [words]) == ("fall", 2, "words.txt")
    assert blocked("fail", [words]) == ("fail", 1, "words.txt")


def test_an_empty_list_holds_nothing():
    assert blocked("bad", [listed(), listed("# nothing")]) is None


def test_the_lists_of_a_room_and_a_file_count_both():
    mine = room_words(["mine"])
    assert isinstance(mine, WordList)
    assert blocked("mine", [listed("theirs"), mine]) == ("mine", 1, "room")


@pytest.mark.parametrize("text", ["#bad", "[bad]"])
def test_a_word_of_a_room_is_never_a_remark_or_a_section(text: str):
    assert holds_word(text, "bad")


@pytest.mark.parametrize(
    ("words", "why"), [(["bad", "x"], "word 2"), (["bad"] * 201, "200"), (["x" * 81], "80"), ([""], "word 1")]
)
def test_a_room_is_told_which_of_its_words_is_none(words: list[str], why: str):
    refusal = room_words(words)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.params["field"]) == (Code.BAD_MESSAGE, "words")
    assert refusal.params["why"]
    assert why in str(refusal.params["why"])

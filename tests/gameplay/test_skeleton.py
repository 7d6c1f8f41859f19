"""A comment without its disguises: plain letters, what stands between them, and the key in which words are found."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gameplay.lookalikes import LETTERS, LOOKALIKES, SIGNS
from gameplay.skeleton import BLANK, DENSE, DIGIT, LETTER, MARK, POINT, SIGN, Letters, drawn, key, light, skeleton
from gameplay.text import folded

DRESSED = st.text(st.sampled_from("aAl1I!@$ oO0.,-_ \u200b\u0336éßﬁ微信かが\u3099\u1112\u1161\u11ab가🅰🇦①ⅷЅѕΗη½ﷺ*"))


@pytest.mark.parametrize(
    ("typed", "lit"),
    [
        ("", ""),
        ("Hello  World", "hello world"),
        ("ＷｅＣｈａｔ", "wechat"),
        ("b\u200ba\u202ed", "bad"),
        ("bäd", "bad"),
        ("b\u0336a\u0336d\u0336", "bad"),
        ("b\u20dd", "b"),
        ("аρе", "ape"),
        ("ΗΕΥ ΜΕΝ", "hey men"),
        ("ηου", "nou"),
        ("𝔟𝕒𝙙", "bad"),
        ("ⓑⒶⓓ", "bad"),
        ("🅑🅰🄳", "bad"),
        ("❶➋", "12"),
        ("ᏚᏟᎪᎷ", "scam"),
        ("ᴛᴇꜱᴛ", "test"),
        ("微 信", "微 信"),
        ("が", "か\u3099"),  # a voicing mark makes another letter
        ("कि", "कि"),  # and so does a vowel sign
        ("가", "\u1100\u1161"),
    ],
)
def test_a_light_text_has_plain_letters(typed: str, lit: str):
    assert light(typed) == lit


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ""),
        ("?!", ""),
        ("Hello", "heio"),
        ("b.a.d", "bad"),
        ("b a_d", "bad"),
        ("baaad", "bad"),
        ("bad dog", "badog"),
        ("b4d", "bad"),
        ("1dl0t", "idiot"),
        ("微❤信", "微信"),
        ("か゛", "か\u3099"),
        ("ㅋㅋㅋ", "\u110f"),
        ("26", "26"),
    ],
)
def test_the_key_has_no_gaps_no_repeats_and_letters_for_digits(typed: str, found: str):
    assert skeleton(typed) == found


@pytest.mark.parametrize(
    ("typed", "as_drawn"),
    [
        ("sh!p", "sh1p"),
        ("@d", "4d"),
        ("ca$h", "ca5h"),
        ("te|e", "te1e"),
        ("cash!!", "cash!!"),
        ("$5", "$5"),
        ("a@1", "a@1"),
        ("🇩🇪", "de"),
    ],
)
def test_a_sign_is_drawn_for_a_letter_inside_a_word_only(typed: str, as_drawn: str):
    assert drawn(light(typed)) == as_drawn


def test_letters_know_what_stands_before_them_and_of_which_kind_they_are():
    letters = Letters(light("a-b.c, d微2é"))
    assert letters.chars == "abcd微2e"
    assert list(letters.gaps) == [BLANK, MARK, POINT, BLANK, 0, 0, 0, BLANK]
    assert letters.kinds[:-1] == LETTER * 4 + DENSE + DIGIT + LETTER


def test_a_sign_that_is_drawn_for_a_letter_is_told_from_one():
    assert Letters(drawn("b@d"), "b@d").kinds[:-1] == LETTER + SIGN + LETTER


def test_no_letters_have_no_places():
    nothing = Letters(light("!?"))
    assert (nothing.chars, nothing.runs) == ("", [0])


@pytest.mark.parametrize("char", [char for alikes in LOOKALIKES.values() for char in alikes])
def test_every_look_alike_is_what_folding_leaves(char: str):
    assert unicodedata.normalize("NFKD", folded(char)) == char


def test_no_look_alike_is_of_two_letters():
    every = [char for alikes in LOOKALIKES.values() for char in alikes]
    assert len(every) == len(set(every))


def test_marks_are_either_dropped_or_kept():
    assert not set(map(ord, SIGNS)) & {code for code, letter in LETTERS.items() if letter is None}


@given(st.text() | DRESSED)
@example("\u1109.\u1161")
@example("か.\u3099")
@example("ßﬁ①")
@example("0 \u0300")
def test_folding_twice_is_folding_once(text: str):
    assert light(light(text)) == light(text)
    assert skeleton(skeleton(text)) == skeleton(text)


@given(st.text() | DRESSED)
def test_the_key_is_the_first_letter_of_each_run(text: str):
    for lit in (light(text), drawn(light(text))):
        letters = Letters(lit)
        assert key("".join(letters.chars[at] for at in letters.runs[:-1])) == key(lit)
        assert len(letters.runs) - 1 == len(key(lit))
        assert len(letters.gaps) == len(letters.kinds) == len(letters.chars) + 1


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_plain_ascii_folds_as_its_wide_form_does(text: str):
    assert folded(text) == folded("".join(chr(ord(char) + 0xFEE0) for char in text))

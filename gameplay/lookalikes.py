"""Letters that look like a Latin one: a choice from Unicode's confusables (UTS 39), for words, not for names."""

from __future__ import annotations

import unicodedata

# What NFKD and case folding leave: small letters, and the few capitals without a small one. Left out is what merges two
# Latin readings (rn and m, 0 and o): those are undone where a word is compared, or not at all.
LOOKALIKES = {
    "a": "αаɑ⍺ᴀᎪꓮᗅ",
    "b": "βвьʙɓƀᏴꓐᗷƅᏏ",
    "c": "сᴄⲥᏟꓚↄȼ",
    "d": "ԁᴅđɖɗðᎠꓓᗞᗪꓒ",
    "e": "еεҽєəɛᴇ℮Ꭼꓰɇⴹ",
    "f": "ƒꜰϝքꓝᖴẝ",
    "g": "ɡɢցԍᶃᏀꓖǥ",
    "h": "һнհʜħⲏᎻꓧᕼᏂ",
    "i": "іιıɩɪᎥꙇӏǀⲓɨ",
    "j": "јϳյᴊɉᎫꓙᒍ",
    "k": "кκᴋⲕᏦꓗƙ",
    "l": "łʟƚᏞꓡᒪⳑɭ",
    "m": "мᴍⲙᎷꓟᗰϻ",
    "n": "ηոռпиɴⲛꓠŋɲ",
    "o": "оοσօᴏⲟꓳøɵჿⵔө",
    "p": "рρᴘⲣᏢꓑþᑭ",
    "q": "ԛգզɋ",
    "r": "гяʀᴦⲅᎡᏒꓣᖇɍɾ",
    "s": "ѕꜱᏚꓢᏕʂ",
    "t": "тτᴛⲧᎢꓔŧƭ",
    "u": "υսᴜʋꞟꓴᑌμцʉ",
    "v": "νѵᴠᏙꓦᐯⴸ",
    "w": "ѡԝաᴡɯωшᏔᎳꓪ",
    "x": "хχⲭꓫ᙭ⵝӿ",
    "y": "уγүʏყⲩᎽᎩꓬɏ",
    "z": "ᴢᏃꓜƶʐ",
}
# Those whose folded form looks like another Latin letter.
CAPITALS = str.maketrans({"Η": "H", "Μ": "M", "Ν": "N", "Υ": "Y", "Ϲ": "C", "ϲ": "c"})

CIRCLED = {start + n: chr(ord("a") + n) for start in (0x1F130, 0x1F150, 0x1F170) for n in range(26)}
DIGITS = {0x24FF: "0", **{0x2776 + n: str(n + 1) for n in range(9)}, **{0x278A + n: str(n + 1) for n in range(9)}}

# Where marks are: below the emoji, without the ideographs and the syllables between them.
BLOCKS = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB1E, 0xFE30), range(0x10000, 0x12000))
MARKS = [chr(code) for block in BLOCKS for code in block if unicodedata.category(chr(code))[0] == "M"]
# A vowel sign or a voicing mark makes another letter; accents, strokes and circles only dress one up.
SIGNS = "".join(mark for mark in MARKS if unicodedata.combining(mark) in (0, 8) and unicodedata.category(mark) != "Me")

LETTERS: dict[int, str | None] = {
    **dict.fromkeys(map(ord, sorted(set(MARKS) - set(SIGNS)))),
    **{ord(alike): letter for letter, alikes in LOOKALIKES.items() for alike in alikes},
    **CIRCLED,
    **DIGITS,
}

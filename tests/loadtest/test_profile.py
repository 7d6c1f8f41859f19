from pathlib import Path

import pytest

from loadtest.crowd.profile import ProfileError, read_profile

PROFILES = Path(__file__).parents[2] / "loadtest" / "profiles"
EVENING = (PROFILES / "evening.toml").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_our_profiles_are_read(path: Path) -> None:
    assert read_profile(path).show.order


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[talkers]\nweight = 20", "[talkers]\nweight = -1", "talkers.weight: Expected `int` >= 0"),
        ("[talkers]\nweight = 20", '[talkers]\nweight = "5"', "talkers.weight: Expected `int`, got `str`"),
        ("[talkers]\nweight = 20", "[talkers]\nwieght = 5", "talkers.wieght: no such key"),
        ("[talkers]\nweight = 20\n", "[talkers]\n", "talkers.weight: is missing"),
        ("plays = 0.95", "plays = 95", "buyers.plays: Expected `float` <= 1.0"),
        ('"quiz", "sale"', '"quizz", "sale"', "show.order[2]: Invalid enum value 'quizz'"),
        ("cancels = 0.15", "cancels = 0.5", "buyers.cancels: with buyers.pays it is 1.1, but there is only one whole"),
        ("[lurkers]\nweight = 24", "[lurkers]\nweight = 0", "lurkers.weight: without lurkers nobody notes"),
        ("[show.quiz]", "[show.quiz", "not TOML: "),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert EVENING.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(EVENING.replace(old, new), "utf-8")
    with pytest.raises(ProfileError) as error:
        read_profile(path)
    assert str(error.value).startswith(f"{path}: {said}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.toml: No such file"):
        read_profile(tmp_path / "none.toml")

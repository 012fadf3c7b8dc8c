import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.errors import SpecError
from dse.spec.axis import parse_axis, parse_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]),
        ("6,7,8", [6, 7, 8]),
        ("4:10:2", [4, 6, 8, 10]),
        ("4:9:2", [4, 6, 8]),
        ("10:4:-2", [10, 8, 6, 4]),
        ("-1:1:1", [-1, 0, 1]),
        ("0:0.5:0.1", [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ("0.1:0.35:0.1", [0.1, 0.2, 0.3]),
        ("0:1:lin5", [0, 0.25, 0.5, 0.75, 1]),
        ("1:1000:log4", [1, 10, 100, 1000]),
        ("1e-3:1:log4", [0.001, 0.01, 0.1, 1]),
        ("3:9:lin1", [3]),
        ("6,8:12:2", [6, 8, 10, 12]),
        ("6 , 8 : 12 : 2", [6, 8, 10, 12]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ("{a: 1, b: 2}", [{"a": 1, "b": 2}]),
        ("'a,b'", ["a,b"]),
        ('"a,b",c', ["a,b", "c"]),
        ("serial,overlapped", ["serial", "overlapped"]),
        ("true,on,1e3,2e-1,1_000", [True, "on", 1000.0, 0.2, "1_000"]),
        ("devices/a.yaml,devices/b.yaml", ["devices/a.yaml", "devices/b.yaml"]),
        ("null", [None]),
    ],
)
def test_text_of_an_axis_gives_its_values(text: str, values: list[object]) -> None:
    assert parse_values(text) == values
    assert parse_axis(f"some.path={text}") == ("some.path", values)


def test_decades_print_without_rounding_errors() -> None:
    # the naive powers give 9.999999999999998
    assert [str(value) for value in parse_values("1:1000:log4")] == ["1", "10", "100", "1000"]


def test_spaced_ranges_of_a_count_are_rounded_and_say_each_number_once() -> None:
    # by hand: 1000 ** (1 / 4) = 5.62, 1000 ** (1 / 2) = 31.6, 1000 ** (3 / 4) = 177.8
    assert parse_values("1:1000:log5", "scenario.context_tokens") == [1, 6, 32, 178, 1000]
    assert parse_values("1:1000:log5", "scenario.long.batch") == [1, 6, 32, 178, 1000]
    assert parse_values("1:3:lin5", "analog_cores.pcm.adc.bits") == [1, 2, 3]
    assert parse_values("1:16:log3", "links.a-b.latency_ns") == [1, 4, 16]
    assert parse_values("1:1000:log3", "links.a-b.latency_ns")[1] == pytest.approx(1000**0.5)


def test_whole_ranges_give_whole_numbers() -> None:
    assert all(isinstance(value, int) for value in parse_values("4:10:2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=10:4:2", "the range is empty"),
        ("x=1:2:lin0", "the range is empty"),
        ("x=4:10", "a range is start:stop:step"),
        ("x=1:2:cubic3", "a range is start:stop:step"),
        ("x=4:10:0", "step of a range must not be 0"),
        ("x=0:1:log3", "must be greater than 0"),
        ("x=0:1e9:1", "at most 1000000"),
        ("x=6,,7", "a value is missing"),
        ("x=6,", "a value is missing"),
        ("x=[1,2", "not valid YAML"),
        ("x=", "write path=value"),
        ("=3", "write path=value"),
        ("x", "write path=value"),
    ],
)
def test_wrong_axis_is_explained(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_axis(text)
    assert message in str(caught.value)
    assert str(caught.value).count("--set") == 1


@given(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_list_of_numbers_comes_back(numbers: list[float]) -> None:
    assert parse_values(",".join(map(repr, numbers))) == numbers


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(1, 50))
def test_end_of_a_range_is_included_when_hit(start: float, step: float, count: int) -> None:
    values = parse_values(f"{start!r}:{start + step * count!r}:{step!r}")
    assert len(values) in (count, count + 1)
    assert isinstance(values[0], float | int)
    assert math.isclose(values[0], start, rel_tol=1e-11)

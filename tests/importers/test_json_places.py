import json

from hypothesis import given
from hypothesis import strategies as st

from dse.importers.json_places import key_places

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def ways(value, way=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*way, key)
            yield from ways(inner, (*way, key))


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_every_key_is_found_where_it_stands(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    places = key_places(text)
    assert set(places) == set(ways(value))
    lines = text.split("\n")
    for way, found in places.items():
        assert len(found) == 1
        written = json.dumps(way[-1], ensure_ascii=ascii_only)
        assert lines[found[0].line - 1][found[0].column - 1 :].startswith(written)


def test_a_key_that_is_given_twice_has_two_places():
    assert [tuple(p) for p in key_places('{"a": 1,\n  "a": 2}')[("a",)]] == [(1, 2), (2, 3)]

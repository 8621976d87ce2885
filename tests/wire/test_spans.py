from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError
from ccrouter.wire import spans
from tests.strategies import json_arrays, json_objects, json_values, mutated


def texts(text, items):
    return [text[item.start : item.end] for item in items]


def exactly(text):
    """The value of a text, with repeated keys, and numbers as they are spelled."""
    return json.loads(text, object_pairs_hook=list, parse_float=str, parse_int=str, parse_constant=str)


@given(json_objects())
def test_the_members_of_an_object_are_found_with_their_places(written):
    items = spans.document(written.text)
    assert [item.key for item in items] == [json.loads(key) for key in written.keys]
    assert texts(written.text, items) == list(written.values)
    for item, key in zip(items, written.keys, strict=True):
        assert written.text.startswith(key, item.outer)
    assert {item.key: json.dumps(item.value) for item in items} == {
        key: json.dumps(value) for key, value in json.loads(written.text).items()
    }


@given(json_arrays(), st.text(max_size=3))
def test_the_elements_of_an_array_are_found_anywhere_in_a_text(written, before):
    items = spans.elements(before + written.text, len(before))
    assert texts(before + written.text, items) == list(written.values)
    assert {(item.key, item.outer - item.start) for item in items} <= {(None, 0)}


@given(st.data(), json_objects())
def test_edits_change_what_they_name_and_leave_all_else_as_it_was(data, written):
    items = spans.document(written.text)
    places = st.integers(0, max(0, len(items) - 1)) if items else st.nothing()
    doomed = data.draw(st.sets(places))
    replaced = {place: data.draw(json_values) for place in sorted(data.draw(st.sets(places)) - doomed)}
    edits = spans.remove(items, doomed) + [spans.replace(items[place], text) for place, text in replaced.items()]
    changed = spans.apply(written.text, edits)
    kept = [place for place in range(len(items)) if place not in doomed]
    wanted = [replaced.get(place, written.values[place]) for place in kept]
    assert exactly(changed) == [
        (json.loads(written.keys[place]), exactly(value)) for place, value in zip(kept, wanted, strict=True)
    ]
    found = spans.document(changed)
    assert texts(changed, found) == wanted
    # From its key to its value, a member has its bytes; so has what stands around the object.
    assert [changed[item.outer : item.start] for item in found] == [
        written.text[items[place].outer : items[place].start] for place in kept
    ]
    assert changed.partition("{")[0] == written.text.partition("{")[0]
    assert changed.rpartition("}")[2] == written.text.rpartition("}")[2]


@given(st.data(), json_arrays())
def test_elements_can_be_removed(data, written):
    items = spans.elements(written.text)
    doomed = data.draw(st.sets(st.integers(0, max(0, len(items) - 1)) if items else st.nothing()))
    changed = spans.apply(written.text, spans.remove(items, doomed))
    assert texts(changed, spans.elements(changed)) == [
        value for place, value in enumerate(written.values) if place not in doomed
    ]


@given(json_objects())
def test_no_edit_is_no_change(written):
    assert spans.apply(written.text, spans.remove(spans.document(written.text), ())) == written.text


@given(
    json_objects()
    .flatmap(lambda each: mutated(each.text.encode()))
    .map(lambda body: body.decode("utf-8", "replace"))
)
def test_what_is_an_object_to_the_standard_library_is_read_and_all_else_refused(text):
    try:
        wanted = exactly(text) if isinstance(json.loads(text), dict) else None
    except ValueError:
        wanted = None
    if wanted is None:
        with pytest.raises(FrameError):
            spans.document(text)
    else:
        assert [(item.key, exactly(text[item.start : item.end])) for item in spans.document(text)] == wanted


@given(st.text(alphabet='{}[]":,.\\ue1-0 aN\n', max_size=20), st.integers(0, 5))
def test_any_text_gives_items_or_a_frame_error(text, start):
    for read in (spans.members, spans.elements):
        try:
            items = read(text, min(start, len(text)))
        except FrameError:
            continue
        assert all(item.outer <= item.start < item.end <= len(text) for item in items)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected '{' but found 'the end', at character 0"),
        ("[1]", "expected '{' but found '['"),
        ("\ufeff{}", "expected '{'"),
        ('{"a":1,}', "at character 7"),
        ('{"a" 1}', "expected ':' but found '1', at character 5"),
        ('{"a":1 "b":2}', "expected ','"),
        ("{1:2}", "a key that is no string, at character 1"),
        ('{"a":1', "expected ',' but found 'the end'"),
        ('{"a":tru}', "not JSON"),
        ('{"a":"\n"}', "Invalid control character"),
        ('{"a":1}}', "unexpected text after the JSON object, at character 7"),
        ("{} {}", "unexpected text after the JSON object, at character 3"),
        ('{"a":' + "[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a":' + "1" * 5000 + "}", "not JSON that can be read"),
    ],
)
def test_a_text_that_is_no_object_is_refused_with_the_place(text, words):
    with pytest.raises(FrameError) as caught:
        spans.document(text)
    assert words in str(caught.value)


@given(st.data(), json_objects())
def test_what_a_new_value_keeps_of_the_old_one_is_written_as_it_came(data, written):
    before, after = "[1, ", ', {"a" : [1.0]}]'
    text = f"{before}{written.text}{after}"
    whole = spans.Item(None, json.loads(text), 0, 0, len(text))
    _, kept, last = whole.value
    value = data.draw(st.permutations([kept, {"new": last["a"]}, {**last, "b": kept}, "\ud800"]))
    changed = spans.apply(text, [spans.rewrite(text, whole, value)])
    assert json.dumps(json.loads(changed)) == json.dumps(value)
    assert changed.count(written.text.strip()) >= (2 if written.keys else 0)
    assert changed.count("[1.0]") >= 2
    assert spans.apply(text, [spans.rewrite(text, whole, whole.value)]) == text


@given(st.data(), st.lists(json_objects(), min_size=1, max_size=4))
def test_what_an_array_ends_with_as_before_stays_in_its_place(data, written):
    text = "[" + " , ".join(each.text for each in written) + " ]"
    whole = spans.Item(None, json.loads(text), 0, 0, len(text))
    front, kept = data.draw(st.integers(1, len(written))), list(whole.value)
    value = [*data.draw(st.lists(st.sampled_from([{"new": kept[0]}, 5, "s"]), max_size=3)), *kept[front:]]
    edit = spans.rewrite(text, whole, value)
    changed = spans.apply(text, [edit])
    assert json.dumps(json.loads(changed)) == json.dumps(value)
    assert [changed.count(each.text.strip()) > 0 for each in written[front:]] == [True] * (len(written) - front)


def test_of_a_long_array_only_the_beginning_is_read_where_only_that_is_new():
    text = '[{"a":  1}, {"b":  2}, {"c": ' + "[" * 50 + "]" * 50 + "}]"
    whole = spans.Item(None, json.loads(text), 0, 0, len(text))
    first, *rest = whole.value
    edit = spans.rewrite(text, whole, [{"new": first}, "x", *rest])
    assert edit == spans.Edit(1, 10, '{"new":{"a":  1}},"x"')
    assert spans.rewrite(text, whole, [first, {"new": rest[0]}, rest[1]]).end == text.index(', {"c"')


def test_of_a_key_that_is_repeated_the_last_value_counts():
    text = '{"a":[ 1],"a":[ 2]}'
    whole = spans.Item(None, json.loads(text), 0, 0, len(text))
    assert spans.rewrite(text, whole, [whole.value["a"]]).text == "[[ 2]]"


@pytest.mark.parametrize("first", ["[]", "5", '"s"', "[[ 1],[ 1]]", '{"b":[ 1]}'])
def test_of_a_key_that_is_repeated_inside_the_last_value_counts(first):
    text = f'{{"b":{first},"a":{first},"a":[[ 1], 2],"b":[ 3]}}'
    whole = spans.Item(None, json.loads(text), 0, 0, len(text))
    assert spans.rewrite(text, whole, [whole.value["a"][0], whole.value["b"]]).text == "[[ 1],[ 3]]"


def test_a_number_that_is_too_large_stays_one_in_what_is_written_anew():
    text = '[{"a": 1e999, "b": -1E+400, "c": 1.5}]'
    (first,) = spans.elements(text)
    whole = spans.Item(None, [first.value], 0, 0, len(text))
    changed = spans.apply(text, [spans.rewrite(text, whole, [{**first.value, "d": 1}])])
    assert changed == '[{"a":1e999,"b":-1e999,"c":1.5,"d":1}]'


def test_edits_that_overlap_are_a_bug_of_their_maker():
    with pytest.raises(ValueError, match="overlap"):
        spans.apply("abcdef", [spans.Edit(0, 3, "x"), spans.Edit(2, 4, "y")])


def test_edits_may_be_given_in_any_order_and_touch():
    assert spans.apply("abcdef", [spans.Edit(3, 5, "Y"), spans.Edit(1, 3, "X"), spans.Edit(6, 6, "!")]) == "aXYf!"


def test_values_are_not_shown_by_an_item():
    assert "secret" not in repr(spans.document('{"a":"secret"}'))

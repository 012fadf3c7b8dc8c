import json

import numpy as np
import pytest

from dse.errors import SpecError
from dse.noise.data import read_items, read_tokens, token_windows

from .small import write_items, write_tokens


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def read(path, vocab_size=100):
    sidecar = json.loads(path.with_suffix(".json").read_text())
    return read_tokens(path, tokenizer_sha256=sidecar.get("tokenizer_sha256", ""), vocab_size=vocab_size)


def test_tokens_come_back_as_they_were_written(folder):
    tokens = np.arange(90, dtype=np.uint16)
    wide = np.array([0, 151_935], np.uint32)  # the vocabulary of Qwen3 does not fit 16 bits
    np.testing.assert_array_equal(read(write_tokens(folder, "w", wide), vocab_size=151_936), wide)
    np.testing.assert_array_equal(read(write_tokens(folder, "t", tokens)), tokens)


def test_text_of_another_tokenizer_is_refused(folder):
    path = write_tokens(folder, "t", np.zeros(5, np.uint16), tokenizer_sha256="a" * 64)
    with pytest.raises(
        SpecError, match=r"t\.json: tokenizer_sha256: aaaaaaaaaaaa… is not the checkpoint's tokenizer bbbb"
    ):
        read_tokens(path, tokenizer_sha256="b" * 64, vocab_size=10)


def test_a_token_file_without_sidecar_is_refused(folder):
    path = write_tokens(folder, "t", np.zeros(5, np.uint16))
    path.with_suffix(".json").unlink()
    with pytest.raises(
        SpecError, match=r"t\.json: missing; a token file needs a sidecar with tokenizer_sha256, source"
    ):
        read_tokens(path, tokenizer_sha256="", vocab_size=10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"t\.json:1:2: not a JSON file"),
        ("[]", "expected an object with"),
        ('{"tokenizer_sha256": "x", "source": "s"}', "licence: missing"),
    ],
)
def test_a_malformed_sidecar_is_refused(folder, content, message):
    path = write_tokens(folder, "t", np.zeros(5, np.uint16))
    path.with_suffix(".json").write_text(content)
    with pytest.raises(SpecError, match=message):
        read_tokens(path, tokenizer_sha256="x", vocab_size=10)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([3, 100], np.uint16), "token 100 is outside the vocabulary of 100"),
        (np.zeros(5, np.int64), r"expected one row of uint16 or uint32 tokens \(got int64 of shape \(5,\)\)"),
        (np.zeros((2, 5), np.uint16), "expected one row of uint16 or uint32 tokens"),
    ],
)
def test_tokens_that_cannot_be_of_the_model_are_refused(folder, tokens, message):
    with pytest.raises(SpecError, match=message):
        read(write_tokens(folder, "t", tokens))


def test_missing_and_broken_token_files_are_refused(folder):
    path = write_tokens(folder, "t", np.zeros(5, np.uint16))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SpecError, match="not a NumPy array file"):
        read(path)
    path.write_bytes(b"no array")
    with pytest.raises(SpecError, match="not a NumPy array file"):
        read(path)
    path.unlink()
    with pytest.raises(SpecError, match="no such token file"):
        read(path)


def test_windows_predict_the_asked_number_of_tokens_from_start_to_end():
    tokens = np.arange(1001, dtype=np.uint16)
    found = token_windows(tokens, context=10, n_tokens=200)
    assert found.shape == (20, 11)
    assert found[0, 0] == 0
    assert found[-1, -1] == 1000
    np.testing.assert_array_equal(np.diff(found, axis=1), 1)
    assert (np.diff(found[:, 0]) >= 10).all()


@pytest.mark.parametrize(("n_tokens", "windows"), [(1, 1), (29, 2), (1000, 4)])
def test_windows_are_whole_and_do_not_overlap(n_tokens, windows):
    assert len(token_windows(np.zeros(41, np.uint16), context=10, n_tokens=n_tokens)) == windows


def test_too_short_a_text_is_refused():
    with pytest.raises(SpecError, match=r"10 tokens hold no window of 10 \+ 1"):
        token_windows(np.zeros(10, np.uint16), context=10, n_tokens=10)


def test_items_are_read_in_order_up_to_the_asked_number(folder):
    path = write_items(folder, 5)
    every = read_items(path, vocab_size=64, context=16, n_items=None)
    assert len(every) == 5
    assert read_items(path, vocab_size=64, context=16, n_items=2) == every[:2]
    assert all(len(item.choices) == 4 for item in every)


GOOD = {"context_tokens": [1, 2], "choices_tokens": [[3], [4, 5]], "answer": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": 2}, "answer 2 names none of the 2 choices"),
        ({"answer": "1"}, "answer '1' names none"),
        ({"choices_tokens": [[3]]}, "at least two choices"),
        ({"choices_tokens": [[3], []]}, "none of them empty"),
        ({"context_tokens": []}, "needs a context"),
        ({"context_tokens": [64]}, "tokens must be whole numbers from 0 to 63"),
        ({"context_tokens": list(range(15))}, "longer than the model's context of 16"),
        ({"context_tokens": None}, "not a multiple-choice item"),
    ],
)
def test_malformed_items_are_refused_with_their_line(folder, changes, message):
    path = folder / "items.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | changes) + "\n")
    with pytest.raises(SpecError, match=rf"items\.jsonl:2: .*{message}"):
        read_items(path, vocab_size=64, context=16, n_items=None)


def test_items_without_answer_or_file_are_refused(folder):
    path = folder / "items.jsonl"
    path.write_text('{"context_tokens": [1]}\nnot json\n')
    with pytest.raises(SpecError) as caught:
        read_items(path, vocab_size=64, context=16, n_items=None)
    assert [problem.line for problem in caught.value.problems] == [1, 2]
    with pytest.raises(SpecError, match="no such file of multiple-choice items"):
        read_items(folder / "none.jsonl", vocab_size=64, context=16, n_items=None)

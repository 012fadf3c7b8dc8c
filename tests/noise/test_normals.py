import numpy as np
import pytest
from scipy import stats

from dse.noise.key import NoiseKey
from dse.noise.normals import CHUNK_WEIGHTS, NormalStream, chunk_rows, standard_normals, uniforms

KEY = NoiseKey(1, "layers.0.attention", "q", 0, 0, "programming")


@pytest.mark.parametrize("n", [1, 2, 3, 17, 100_001])
def test_any_number_of_normals_can_be_drawn(n):
    found = standard_normals(KEY, (n,))
    assert found.shape == (n,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.array_equal(found, standard_normals(KEY, (n,)))


def test_normals_are_normal_and_independent():
    drawn = NormalStream(KEY).fill(np.empty(1 << 20, np.float32)).astype(np.float64)
    n = len(drawn)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(drawn.mean()) < 4 / n**0.5
    assert abs(np.mean(drawn**2) - 1) < 4 * (2 / n) ** 0.5  # closed form: variance of ξ² is 2
    assert abs(np.mean(drawn**4) - 3) < 4 * (96 / n) ** 0.5  # closed form: variance of ξ⁴ is 96
    tails = np.array([np.mean(np.abs(drawn) > x) for x in (3.0, 4.0)])
    np.testing.assert_allclose(tails, 2 * stats.norm.sf([3.0, 4.0]), rtol=0.35)
    for lag in (1, 2, n // 2):  # the two halves share their radii
        assert abs(np.mean(drawn[:-lag] * drawn[lag:])) < 5 / (n - lag) ** 0.5
        assert abs(np.mean((drawn[:-lag] ** 2 - 1) * (drawn[lag:] ** 2 - 1))) < 10 / (n - lag) ** 0.5


def test_a_stream_goes_on_where_it_stopped_and_other_names_start_elsewhere():
    stream = NormalStream(KEY)
    first, second = (stream.fill(np.empty(1000, np.float32)) for _ in range(2))
    assert np.array_equal(first, standard_normals(KEY, (1000,)))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / 1000**0.5
    other = standard_normals(KEY._replace(effect="drift"), (1000,))
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / 1000**0.5


def test_uniforms_fill_the_interval():
    drawn = uniforms(KEY, (100_000,))
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_chunks_hold_whole_rows():
    assert chunk_rows(512) == CHUNK_WEIGHTS // 512
    assert chunk_rows(10 * CHUNK_WEIGHTS) == 1

import pytest

from dse.spec.suggest import did_you_mean, key_help, nearest, unit_text_help


@pytest.mark.parametrize(
    ("text", "key", "help_text"),
    [
        ("2.5 nJ", "energy_pj", "write 2500 (value is in pJ)"),
        ("2.5nJ", "energy_pj", "write 2500 (value is in pJ)"),
        ("3 us", "latency_ns", "write 3000 (value is in ns)"),
        ("3 µs", "latency_ns", "write 3000 (value is in ns)"),
        ("0.4 W", "power_mw", "write 400 (value is in mW)"),
        ("1 cm2", "area_mm2", "write 100 (value is in mm²)"),
        ("80 GB", "capacity_bytes", "write 80000000000 (value is in byte)"),
        ("2 TB/s", "bandwidth_bytes_per_ns", "write 2000 (value is in byte/ns = GB/s)"),
        ("70 %", "compute_fraction", "write 0.7 (value is in share in [0, 1])"),
        ("50 fJ/bit", "energy_pj_per_bit", "write 0.05 (value is in pJ/bit)"),
        ("2.5 nJ", "latency_ns", None),
        ("2.5 parsecs", "latency_ns", None),
        ("fast", "latency_ns", None),
        ("2.5 nJ", "rows", None),
    ],
)
def test_number_with_a_unit_is_converted(text: str, key: str, help_text: str | None) -> None:
    assert unit_text_help(text, key) == help_text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("energy", 2.5, "unknown key, did you mean 'energy_pj' [pJ]?"),
        ("energy_fj", 2500, "unknown key, use energy_pj: 2.5"),
        ("energy_nj", 2.5, "unknown key, use energy_pj: 2500"),
        ("energy_nj", "many", "unknown key, did you mean 'energy_pj' [pJ]?"),
        ("energy_ns", 1, "unknown key, did you mean 'energy_pj' [pJ]?"),
        ("energy_pjj", 1, "unknown key, did you mean 'energy_pj' [pJ]?"),
        ("Rows", 1, "unknown key, did you mean 'rows'?"),
        ("colour", 1, "unknown key; known: energy_pj, rows"),
    ],
)
def test_unknown_key_is_explained(key: str, value: object, message: str) -> None:
    assert key_help(key, value, ["energy_pj", "rows"])[0] == message


def test_many_known_names_are_not_listed() -> None:
    assert did_you_mean("zzz", [f"name{i}" for i in range(20)]) == ""
    assert nearest("zzz", []) is None

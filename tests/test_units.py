"""Sizes and durations are read and written as people expect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.errors import UsageError
from osssync.units import format_duration, format_rate, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("10B", 10),
        ("8M", 8 << 20),
        ("8m", 8 << 20),
        ("8MB", 8 << 20),
        ("8MiB", 8 << 20),
        ("100 KB", 100 * 1024),
        (" 1G ", 1 << 30),
        ("1.5M", 3 << 19),
        (".5k", 512),
        ("2.K", 2048),
        ("5T", 5 << 40),
        ("1P", 1 << 50),
        ("1.0005K", 1025),
    ],
)
def test_a_size_is_read_with_1024_based_units(text, expected):
    """However the unit is spelled, K, M, G, T and P are powers of 1024."""
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "M", "-1", "8X", "8 M B", "1e3", "1.5", "1.5B.", "0x10", "٣", "8Mi", "9" * 65, "9999999P"],
)
def test_what_is_no_size_is_refused_and_quoted(text):
    """The user sees the very text that was not understood."""
    with pytest.raises(UsageError) as caught:
        parse_size(text)

    assert repr(text) in str(caught.value)


def test_a_fraction_of_bytes_with_the_unit_b_is_refused():
    """Half a byte is a slip, not a size."""
    with pytest.raises(UsageError):
        parse_size("1.5B")


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_whole_bytes_survive_reading(size):
    """A plain number is exactly that many bytes, up to what a file can hold."""
    assert parse_size(str(size)) == size


@given(st.integers(min_value=0, max_value=(1 << 62)))
def test_a_formatted_size_reads_back_as_nearly_the_same(size):
    """One decimal loses at most a twentieth of the unit, and the text is always readable."""
    again = parse_size(format_size(size))

    assert abs(again - size) <= size * 0.05
    assert format_size(again) == format_size(size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.6, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (8 << 20, "8.0 MiB"),
        (3 << 50, "3.0 PiB"),
        (5000 << 50, "5000.0 PiB"),
    ],
)
def test_a_size_is_written_in_the_largest_unit_below_it(size, expected):
    """There is never a "1024.0" of anything that has a larger unit."""
    assert format_size(size) == expected


def test_a_rate_is_a_size_per_second():
    """Rates are shown like sizes."""
    assert format_rate(12.5 * (1 << 20)) == "12.5 MiB/s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20s", 20.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("10m", 600.0),
        ("1d", 86_400.0),
        ("2w", 1_209_600.0),
        ("1h30m", 5400.0),
        ("1m500ms", 60.5),
        ("0", 0.0),
        ("90", 90.0),
        ("0.5", 0.5),
        (" 5s ", 5.0),
    ],
)
def test_a_duration_is_read_in_its_units(text, expected):
    """Terms add up; a plain number is seconds."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "-5s", "5x", "5S", "5M", "1h 30m", "1h30", "1e3s", "101w5", "5300w", "9" * 65]
)
def test_what_is_no_duration_is_refused_and_quoted(text):
    """Upper case is refused too: M is a month to others and a minute to none."""
    with pytest.raises(UsageError) as caught:
        parse_duration(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0ms"),
        (0.25, "250ms"),
        (0.9996, "1.0s"),
        (12.34, "12.3s"),
        (59.96, "1m00s"),
        (245, "4m05s"),
        (3599.6, "1h00m"),
        (7380, "2h03m"),
        (5 * 86_400 + 7200, "5d02h"),
    ],
)
def test_a_duration_is_written_in_two_units_at_most(seconds, expected):
    """The reader sees the magnitude first, and no unit overflows."""
    assert format_duration(seconds) == expected


@given(st.floats(min_value=0, max_value=1e9))
def test_a_formatted_duration_reads_back_as_nearly_the_same(seconds):
    """What is cut off is less than one of the smaller unit shown."""
    again = parse_duration(format_duration(seconds))

    assert abs(again - seconds) <= max(0.001, seconds * 0.06)

"""Rules, bounds and lists select what the peers' users expect."""

import fnmatch
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osssync.errors import UsageError
from osssync.filters import Filters, Rule, RuleFlag, flags_of_lines
from osssync.model import Entry, EntryKind

INCLUDE, EXCLUDE, FILTER = RuleFlag.INCLUDE, RuleFlag.EXCLUDE, RuleFlag.FILTER


def _file(key, size=10, mtime_ns=1000):
    return Entry(key, size, mtime_ns)


def _included(filters, *keys):
    return [key for key in keys if filters.decide(_file(key)) is None]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("file.jpg", ["file.jpg", "d/file.jpg", "d/e/file.jpg"], ["afile.jpg", "d/afile.jpg"]),
        ("/file.jpg", ["file.jpg"], ["afile.jpg", "d/file.jpg"]),
        ("*.jpg", ["a.jpg", "d/a.jpg", ".jpg", "d/new\nline.jpg"], ["a.png", "a.jpg/b", "a.jpgx"]),
        ("/*.jpg", ["a.jpg"], ["d/a.jpg"]),
        ("*.{jpg,png}", ["a.jpg", "d/a.png"], ["a.gif", "a.{jpg,png}"]),
        ("{a,b{1,2}}x", ["ax", "b1x", "b2x"], ["bx", "ab1x"]),
        ("a,b", ["a,b"], ["a", "b"]),
        ("dir/**", ["dir/any", "s/dir/t/any", "dir/"], ["file", "s/file", "adir/any"]),
        ("/dir/**", ["dir/a", "dir/b/c"], ["s/dir/a", "dir"]),
        ("dir/", ["dir/any", "s/dir/t/any", "dir/"], ["dir", "adir/any", "s/dir"]),
        ("/dir/", ["dir/any"], ["s/dir/any"]),
        ("*.t?t", ["f.txt", "d/f.tzt"], ["f.qxt", "f.tt", "f.t/t"]),
        ("*.[a-z]", ["f.a", "d/f.b"], ["f.0", "f.-", "f.aa"]),
        ("[!a-c]", ["d", "x/-", "!"], ["a", "b", "c"]),
        ("[a\\-c]", ["a", "-", "c"], ["b", "\\"]),
        ("[^a-c]", ["d", "^"], ["a"]),
        ("a[!x]b", ["a-b"], ["axb", "a/b"]),
        ("/a[!x]b", ["a-b"], ["axb", "a/b"]),
        ("[\\]a]", ["]", "a"], ["\\"]),
        ("[[&~|]", ["[", "&", "~", "|"], ["a"]),
        ("*.\\?\\?", ["f.??"], ["f.ab"]),
        ("\\{x\\}", ["{x}"], ["x"]),
        ("\\[a\\]", ["[a]"], ["a"]),
        ("a+(b)|.c^$", ["a+(b)|.c^$"], ["aab", "a+(b)|xc^$"]),
        ("/**", ["a", "d/a", "d/"], []),
        ("/a/*/c", ["a/b/c"], ["a/c", "a/b/b/c", "x/a/b/c"]),
        ("/a/**/c", ["a/b/c", "a/b/b/c"], ["a/c"]),
        ("a/*.py", ["a/x.py", "b/a/x.py"], ["ba/x.py", "a/b/x.py"]),
        ("日*", ["日本", "d/日"], ["本日"]),
    ],
)
def test_a_pattern_matches_as_in_rclone(pattern, matching, others):
    """Examples of rclone's documentation, and the corners of its syntax."""
    rule = Rule(include=True, pattern=pattern)

    assert [key for key in matching + others if rule.matches(key)] == matching


@given(
    st.text(alphabet="ab*?.", min_size=1, max_size=8).filter(lambda text: "**" not in text),
    st.text(alphabet="ab.", max_size=8),
)
def test_a_simple_pattern_agrees_with_the_shells(pattern, name):
    """Within one directory, * and ? mean what fnmatch means."""
    rule = Rule(include=True, pattern=pattern)

    assert rule.matches(name) == fnmatch.fnmatchcase(name, pattern)
    assert rule.matches(f"some/dir/{name}") == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "a***",
        "a{b",
        "a}b",
        "a[b",
        "a[]",
        "a[z-a]",
        "a\\",
        "{{.*}}",
        "*.{{jpe?g}}",
        "\\d",
        "[\\d]",
        "[[:alnum:]]",
    ],
)
def test_a_malformed_pattern_is_refused_and_quoted(pattern):
    """A rule that would mean something else than the user thinks never runs."""
    with pytest.raises(UsageError) as caught:
        Rule(include=True, pattern=pattern)

    assert repr(pattern) in str(caught.value)


def test_the_default_includes_everything():
    """Without a condition nothing is even looked at."""
    assert Filters().decide(_file("any/thing")) is None


def test_the_first_rule_that_matches_decides():
    """Order is that of the command line, across kinds of flags."""
    flags = [(EXCLUDE, "secret.txt"), (INCLUDE, "*.txt"), (EXCLUDE, "*.log")]

    one_way = Filters.from_flags(flags)
    other_way = Filters.from_flags([flags[1], flags[0], flags[2]])

    assert _included(one_way, "a.txt", "secret.txt", "x.log", "x.png") == ["a.txt"]
    assert _included(other_way, "a.txt", "secret.txt") == ["a.txt", "secret.txt"]


def test_an_include_excludes_everything_else_and_an_exclude_nothing_else():
    """As in rclone; a "+" filter is no include in this sense."""
    keys = ("a.txt", "a.png")

    assert _included(Filters.from_flags([(INCLUDE, "*.txt")]), *keys) == ["a.txt"]
    assert _included(Filters.from_flags([(EXCLUDE, "*.txt")]), *keys) == ["a.png"]
    assert _included(Filters.from_flags([(FILTER, "+ *.txt")]), *keys) == ["a.txt", "a.png"]
    assert _included(Filters.from_flags([(FILTER, "+ *.txt"), (FILTER, "- *")]), *keys) == ["a.txt"]


def test_an_exclamation_mark_forgets_earlier_rules():
    """Also the rule that an include implied."""
    filters = Filters.from_flags([(INCLUDE, "*.txt"), (FILTER, "!"), (FILTER, "- *.png")])

    assert _included(filters, "a.txt", "a.png", "a.gif") == ["a.txt", "a.gif"]


@pytest.mark.parametrize("text", ["*.txt", "+*.txt", "", "-", "? x"])
def test_a_filter_without_its_sign_is_refused(text):
    """A forgotten sign must not become an include or an exclude by guess."""
    with pytest.raises(UsageError) as caught:
        Filters.from_flags([(FILTER, text)])

    assert repr(text) in str(caught.value)


def test_the_reason_names_the_rule_that_decided():
    """What -v shows."""
    filters = Filters.from_flags([(EXCLUDE, "*.tmp"), (INCLUDE, "*.txt")])

    assert filters.decide(_file("a.tmp")) == "excluded by - *.tmp"
    assert filters.decide(_file("a.png")) == "matched by no --include"


def test_lines_of_a_rule_file_are_flags_without_comments():
    """Blanks around a line, empty lines, "#" and ";" lines are nothing."""
    lines = ["# comment\n", "; comment\n", "\n", "  *.txt  \r\n", "\\#odd\n"]

    assert list(flags_of_lines(EXCLUDE, lines)) == [(EXCLUDE, "*.txt"), (EXCLUDE, "\\#odd")]


def test_only_named_files_are_looked_at():
    """Names are whole paths; a leading slash is allowed and so "#" can begin a name."""
    filters = Filters.from_flags([], files_from=["# no\n", "a/b\n", "/#c\n", "\n"])

    assert _included(filters, "a/b", "#c", "b", "a", "# no") == ["a/b", "#c"]
    assert filters.decide(_file("b")) == "not named by --files-from"


def test_an_empty_list_of_names_names_nothing():
    """No list and an empty list differ."""
    assert _included(Filters.from_flags([], files_from=[]), "a") == []
    assert _included(Filters.from_flags([], files_from=None), "a") == ["a"]


def test_names_and_rules_must_both_agree():
    """An excluded name stays excluded."""
    filters = Filters.from_flags([(EXCLUDE, "*.tmp")], files_from=["a.tmp", "a.txt"])

    assert _included(filters, "a.tmp", "a.txt", "b.txt") == ["a.txt"]


def test_bounds_are_inclusive():
    """Exactly the bound is in, one more or less is out, and the reason names the flag."""
    filters = Filters(min_size=10, max_size=20, min_mtime_ns=100, max_mtime_ns=200)

    def reason(size, mtime_ns):
        return filters.decide(_file("k", size, mtime_ns)) or ""

    assert reason(10, 100) == reason(20, 200) == ""
    assert "--min-size" in reason(9, 150)
    assert "--max-size" in reason(21, 150)
    assert "--min-mtime" in reason(15, 99)
    assert "--max-mtime" in reason(15, 201)


def test_zero_is_a_bound():
    """--max-size 0 selects empty files; it does not mean "no bound"."""
    filters = Filters(max_size=0)

    assert filters.decide(_file("empty", size=0)) is None
    assert filters.decide(_file("full", size=1)) is not None


def test_an_included_entry_must_still_be_within_bounds():
    """A matching include ends the rules, not the conditions."""
    filters = replace(Filters.from_flags([(INCLUDE, "*.txt")]), max_size=5)

    assert filters.decide(_file("a.txt", size=6)) is not None
    assert filters.decide(_file("a.txt", size=5)) is None


def test_a_directory_is_not_asked_its_size():
    """But rules apply to it."""
    directory = Entry("d/", 0, 0, EntryKind.DIRECTORY)

    assert Filters(min_size=1, min_mtime_ns=5).decide(directory) is None
    assert Filters.from_flags([(EXCLUDE, "d/")]).decide(directory) == "excluded by - d/"


@pytest.mark.parametrize(
    ("flags", "left_out"),
    [
        ([], False),
        ([(INCLUDE, "*.png")], False),
        ([(EXCLUDE, "*.png")], False),
        ([(EXCLUDE, "lost/")], True),
        ([(EXCLUDE, "/lost/**")], True),
        ([(EXCLUDE, "/**")], True),
        ([(INCLUDE, "lost/a.png"), (EXCLUDE, "lost/")], False),
        ([(EXCLUDE, "lost/"), (INCLUDE, "*.png")], True),
        ([(EXCLUDE, "lost")], False),
        ([(EXCLUDE, "*")], False),
    ],
)
def test_an_unreadable_directory_is_left_out_only_with_all_its_contents(flags, left_out):
    """Otherwise nobody would know that the listing has a hole."""
    lost = Entry("lost/", 0, 0, EntryKind.UNUSABLE, note="cannot be listed")

    assert (Filters.from_flags(flags).decide(lost) is not None) == left_out


def test_an_unreadable_directory_matters_only_if_a_named_file_may_be_in_it():
    """With a list of names the hole can be judged."""
    lost = Entry("lost/", 0, 0, EntryKind.UNUSABLE)

    assert Filters(files_from=frozenset({"lost/x"})).decide(lost) is None
    assert Filters(files_from=frozenset({"lost.txt"})).decide(lost) is not None


def test_filters_travel_to_other_processes():
    """Equal and as selective after a pickle."""
    filters = Filters.from_flags([(INCLUDE, "*.txt")], files_from=["a.txt", "a.png"])

    again = pickle.loads(pickle.dumps(filters))

    assert again == filters
    assert hash(again) == hash(filters)
    assert again.decide(_file("a.png")) == "matched by no --include"

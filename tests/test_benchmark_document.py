"""The document of benchmarks: each replaces its own section alone, and the table at the top is made of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.document import Headline, Section, put, table

FAST = Section("How fast", [Headline("limit", "0.91", "0.85 or better", True)], "Words of it.\n\n| a | b |")
SMALL = Section(
    "How small",
    [Headline("memory", "412 MB", "2 GB", False), Headline("plain, by eye", "5.9x, equal: all of them")],
    "Other words.",
)
BY_HAND = "# What was measured\n\nWords by hand.\n\n## A section by hand\n\nMore, with \\1 and a | in it.\n"


@pytest.fixture
def doc(tmp_path: Path) -> Path:
    return tmp_path / "benchmarks.md"


def summary(doc: Path) -> list[str]:
    """The rows of the table at the top."""
    inside = doc.read_text().split("<!-- measured: summary -->\n")[1].split("\n<!-- end: summary -->")[0]
    return inside.splitlines()[2:]


def sections(doc: Path) -> list[str]:
    return [line for line in doc.read_text().splitlines() if line.startswith("## ")]


def test_a_table_has_its_numbers_to_the_right() -> None:
    assert table(["a", "b"], [["x", "1"], ["y", "22"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 22 |"


def test_a_new_document_holds_the_section_and_its_row(doc: Path) -> None:
    put(doc, "fast", FAST)
    text = doc.read_text()
    assert text.startswith("# What was measured\n\n<!-- measured: summary -->")
    assert "## How fast\n\n- **limit:** 0.91; target 0.85 or better: met\n\nWords of it.\n\n| a | b |\n\n" in text
    assert "`python -m benchmarks fast`, 20" in text
    assert summary(doc) == ["| limit | 0.91 | 0.85 or better | met |"]


def test_the_summary_has_a_row_for_every_headline(doc: Path) -> None:
    put(doc, "fast", FAST)
    put(doc, "small", SMALL)
    assert summary(doc) == [
        "| limit | 0.91 | 0.85 or better | met |",
        "| memory | 412 MB | 2 GB | not met |",
        "| plain, by eye | 5.9x, equal: all of them |  |  |",
    ]


def test_a_second_run_replaces_its_own_section_where_it_stands(doc: Path) -> None:
    put(doc, "fast", FAST)
    put(doc, "small", SMALL)
    put(doc, "fast", Section("How fast now", [Headline("limit", "0.80", "0.85 or better", False)], r"New \1 words."))
    text = doc.read_text()
    assert sections(doc) == ["## How fast now", "## How small"]
    assert r"New \1 words." in text
    assert "Words of it." not in text
    assert "Other words." in text
    assert summary(doc)[0] == "| limit | 0.80 | 0.85 or better | not met |"


def test_the_same_again_changes_nothing(doc: Path) -> None:
    put(doc, "fast", FAST)
    put(doc, "small", SMALL)
    first = doc.read_text()
    put(doc, "small", SMALL)
    assert doc.read_text() == first


def test_what_is_written_by_hand_stays(doc: Path) -> None:
    doc.write_text(BY_HAND)
    put(doc, "fast", FAST)
    doc.write_text(doc.read_text() + "\nA last word by hand.\n")
    put(doc, "small", SMALL)
    put(doc, "fast", Section("How fast now", FAST.headlines, "New."))
    text = doc.read_text()
    assert BY_HAND.removeprefix("# What was measured\n\n") in text
    assert "\nA last word by hand.\n" in text
    assert sections(doc) == ["## A section by hand", "## How fast now", "## How small"]
    assert text.index("<!-- measured: summary -->") < text.index("Words by hand.")


def test_bullets_that_only_look_like_a_headline_are_none(doc: Path) -> None:
    doc.write_text("# What was measured\n\n- **by hand:** 3; target 4: met\n")
    put(doc, "fast", Section("How fast", FAST.headlines, "Words.\n\n- **inside:** 5; target 6: met\n"))
    put(doc, "small", SMALL)
    assert len(summary(doc)) == len(FAST.headlines) + len(SMALL.headlines)
    assert not any("by hand" in row or "inside" in row for row in summary(doc))

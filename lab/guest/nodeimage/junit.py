"""Reads the JUnit reports that ansible-playbook and pytest write."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET


@dataclass(frozen=True)
class Case:
    """One task or control: its name and place, how it ended, and what the report tells of that."""

    name: str
    place: str
    outcome: str
    message: str
    text: str


def read(path: str) -> list[Case]:
    """The cases of a report, in their order; none if there is no report."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - written by a program that we started
    except (OSError, ET.ParseError):
        return []
    return [_case(element) for element in root.iter("testcase")]


def _case(element: ET.Element) -> Case:
    name, place = element.get("name", ""), element.get("classname", "")
    for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = element.find(tag)
        if found is not None:
            return Case(name, place, outcome, found.get("message", ""), found.text or "")
    told = element.find("system-out")
    return Case(name, place, "passed", "", (told.text or "") if told is not None else "")

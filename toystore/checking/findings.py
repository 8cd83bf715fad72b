"""What a checker found."""

from __future__ import annotations

from attrs import define, field, frozen

TOLD = 20
"""Anomalies of one promise that are told one by one; the others are counted."""


@frozen
class Anomaly:
    """Something that can not be if the promise was kept; the text says which order, which client and when."""

    promise: str
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


@define
class Check:
    """One promise, how many things were held against it, and what was wrong (`count` of them, the first ones told).
    `given_up` counts what could not be decided."""

    promise: str
    checked: int = 0
    count: int = 0
    anomalies: list[Anomaly] = field(factory=list)
    given_up: int = 0

    def wrong(self, text: str) -> None:
        self.count += 1
        if len(self.anomalies) < TOLD:
            self.anomalies.append(Anomaly(self.promise, text))

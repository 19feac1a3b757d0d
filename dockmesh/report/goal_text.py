"""Texts for the goal of a run. JSON documents use the statuses of the contract instead."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoalText:
    """`unchanged` describes hosts without changes. `done` is the status of a host with a confirmed change."""

    unchanged: str
    done: str


JOINED = GoalText("in the desired state", "confirmed")
ROLLED_BACK = GoalText("without an earlier state to restore", "rolled back")
REMOVED = GoalText("without dockmesh", "removed")

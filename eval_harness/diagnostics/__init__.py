"""Checks an editor before you pay for a run: the doctor and the conformance kit."""

from __future__ import annotations

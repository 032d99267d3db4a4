"""Test-then-train over mail and word counts: what runs, what is measured, what is written."""

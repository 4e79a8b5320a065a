"""Months and quarters."""


def quarter_of(month):
    """The quarter of a month written as 2026-07."""
    return (int(month[5:7]) + 2) // 3

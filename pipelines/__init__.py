"""Equity Warehouse: a district's extracts in, an audited and privacy-safe equity warehouse out."""

__version__ = "0.1.0"

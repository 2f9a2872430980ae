"""Polaris: scheduled outbound phone calls."""

VERSION = "0.1.0"

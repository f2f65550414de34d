"""Capture inside the program that makes the calls, without a gateway."""

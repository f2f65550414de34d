"""Calls of no task, grouped into candidates for one."""

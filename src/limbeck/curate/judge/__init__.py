"""A second opinion on chains, from a teacher that is paid for it."""

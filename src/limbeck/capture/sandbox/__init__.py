"""Tasks with a known truth, and a teacher that is wrong in known ways: to try things out on."""

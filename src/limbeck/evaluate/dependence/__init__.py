"""Does the answer depend on the rationale that was written before it? Called dependence, since no
measure of text alone shows what a rationale is faithful to."""

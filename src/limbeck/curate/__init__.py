"""From traces to an immutable, checked and split dataset, with a reason for every drop."""

"""The only SQL of the product: traces, outcomes, blobs and migrations."""

"""What is left of the accuracy when the inputs are not those of the training any more."""

"""What a reply says about itself: the inputs of the rule for who answers. One small file a signal."""

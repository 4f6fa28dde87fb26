"""Data on its way to a model: arrays of any kind, cut into batches."""

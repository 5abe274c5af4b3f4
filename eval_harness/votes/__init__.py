"""Votes of people and of models on which of two results is better: the judge, the votes, and their statistics."""

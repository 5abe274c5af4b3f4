"""Publishes a dataset or the metrics on the Hub, and checks everything before it is sent."""

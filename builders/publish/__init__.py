"""How a dataset and the metrics get to the Hub, and what is looked at before anything is sent."""

"""What every stage runs on: limits, money, service failures, devices, pipelines and progress."""

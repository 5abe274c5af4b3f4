"""What builders and harness share when they ask services for work: limits, money, prices."""

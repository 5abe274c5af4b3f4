"""What is to be known of an editor before a run: the doctor and the conformance check."""

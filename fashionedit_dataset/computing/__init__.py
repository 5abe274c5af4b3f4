"""What runs on this machine: torch's devices and memory, and the pipelines of diffusers."""

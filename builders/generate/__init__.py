"""Stage 2, generate: from captions to drafts, with diffusers, an image service, or files that are there already."""

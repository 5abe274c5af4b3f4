"""Stage 4: a multimodal model looks at a photograph and its draft, and names three differences."""

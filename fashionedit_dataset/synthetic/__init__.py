"""The control set: garments rendered by our own code, whose drafts differ from them in exactly three known boxes."""

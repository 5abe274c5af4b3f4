"""The editor of the stored run."""


def edit(image, instruction, reference=None):
    """Returns the image a little brighter."""
    return image.point(lambda value: min(255, value + 8))

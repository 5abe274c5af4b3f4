"""FashionEdit: the dataset, the metrics and the harness of fine-grained fashion image editing."""

from ._version import __version__

__all__ = ["__version__"]

"""The drawn designer: words and pictures change a parametric drawing; no model, no key, no download."""

from .design import Design
from .editor import LABEL, Drawing, DrawnEditor, DrawnGenerator, edit, generate, summary
from .vocabulary import vocabulary, vocabulary_markdown

__all__ = [
    "LABEL",
    "Design",
    "Drawing",
    "DrawnEditor",
    "DrawnGenerator",
    "edit",
    "generate",
    "summary",
    "vocabulary",
    "vocabulary_markdown",
]

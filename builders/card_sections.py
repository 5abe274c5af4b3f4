"""What the card of a built dataset says beyond its columns: how it was made, and what is known to be unclear."""

from __future__ import annotations

from collections.abc import Mapping

from .funnel import Funnel

DEEPFASHION_LICENCE = """\
The photographs and captions are those of [DeepFashion-MultiModal](https://github.com/yumingj/DeepFashion-MultiModal):
for non-commercial research, not to be copied, published or distributed further, in whole or in part. **Do not upload
this folder.** `fashionedit publish` sends a form of it that holds no photograph, no crop and no caption; boxes,
descriptions and drafts may still count as derived from them."""

_GETTING_THE_PHOTOGRAPHS = """\
Ask for DeepFashion-MultiModal where its authors offer it, unpack `images/` and `captions.json`, and fill the published
form in on your own machine:

```console
$ fashionedit hydrate ANNOTATIONS DEEPFASHION OUT
```

Every photograph, caption and crop is compared with the hash that was published with it; what is missing or different
is named."""

_CONTRADICTIONS = """\
The paper, its scripts and its released files disagree in places that move a number:

- Table 1 gives the SD3 drafts CLIP 82.85 and CLIP\\* 1.75 %; the scores released for the same 11,546 images
  (`captions_top.json`) have the mean 87.43, and 10.45 % above 90. One of them comes from another encoder or
  other images.
- Table 1 has no row for doing nothing. Read no score without the draft's beside it.
- The reference crop is cut from the image that results are compared with: pasting it back raises every metric without
  any skill. Read no score of the image protocol without the paste-reference row beside it.
- The 11,546 images show 4,849 garments. A random split, as in the paper, has garments in both parts, and errors are
  correlated within a garment.
- The paper's validation list, the resize of its originals and its seeds were never published."""

_CITATION = """\
The method and the protocol are those of *Fine-Grained Customized Fashion Design with Image-into-Prompt Benchmark and
Dataset from LMM* (arXiv 2509.09324)."""


def card_sections(
    funnel: Funnel, made_with: Mapping[str, str], *, deepfashion: bool, leaks: str | None = None
) -> list[tuple[str, str]]:
    """Returns heading and Markdown text of each section.

    Args:
        funnel: What was left out on the way, and why.
        made_with: What made each part, such as `drafts` → the model and its settings, one line each.
        deepfashion: Whether the photographs are DeepFashion-MultiModal's.
        leaks: What the comparison of the splits found.
    """
    made = "\n".join(f"| {what} | {how.replace('|', '/')} |" for what, how in made_with.items())
    sections = [
        ("How it was made", f"{funnel.to_markdown()}\n\n| part | made with |\n|---|---|\n{made}"),
        *([("Splits", leaks)] if leaks else []),
        *([("Getting the photographs", _GETTING_THE_PHOTOGRAPHS)] if deepfashion else []),
        ("What is unclear", _CONTRADICTIONS),
        ("Citation", _CITATION),
    ]
    return sections

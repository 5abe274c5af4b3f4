"""Random-weight diffusers pipelines, small enough to run in a test: of the real classes, saved to a folder.

All are deterministic (same weights, same bytes). The Stable Diffusions make pictures of 64×64 where no size is asked
for; FLUX makes 1024×1024 then, as its class has that number in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZE = 64


def write_tiny_sd3(folder: Path, *, t5: bool = False) -> Path:
    """Returns the folder, which holds a Stable Diffusion 3 now, without its T5 encoder unless that is asked for."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    third, third_tokenizer = _t5() if t5 else (None, None)
    return _save(
        StableDiffusion3Pipeline(
            transformer=SD3Transformer2DModel(
                sample_size=SIZE // 8,
                patch_size=2,
                in_channels=4,
                num_layers=1,
                attention_head_dim=8,
                num_attention_heads=4,
                caption_projection_dim=32,
                joint_attention_dim=32,
                pooled_projection_dim=64,
                out_channels=4,
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=_vae(shift_factor=0.06, scaling_factor=1.5),
            text_encoder=CLIPTextModelWithProjection(_clip_config(tokenizer)),
            tokenizer=tokenizer,
            text_encoder_2=CLIPTextModelWithProjection(_clip_config(tokenizer)),
            tokenizer_2=tokenizer,
            text_encoder_3=third,
            tokenizer_3=third_tokenizer,
        ),
        folder,
    )


def write_tiny_sd2(folder: Path, *, unsafe: str | None = None) -> Path:
    """Returns the folder, which holds a Stable Diffusion 2.1 now.

    Args:
        folder: Where to.
        unsafe: `all` gives it a safety checker that takes every picture for unsafe, `none` one that takes none.
    """
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    scheduler = DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    return write_stable_diffusion(StableDiffusionPipeline, folder, scheduler, in_channels=4, unsafe=unsafe)


def write_stable_diffusion(kind: Any, folder: Path, scheduler: Any, *, in_channels: int, unsafe: str | None) -> Path:
    """Returns the folder, which holds a pipeline of the class now; `unsafe` as for `write_tiny_sd2`."""
    import torch
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    return _save(
        kind(
            unet=_unet(in_channels=in_channels, cross_attention_dim=32),
            scheduler=scheduler,
            vae=_vae(),
            text_encoder=CLIPTextModel(_clip_config(tokenizer)),
            tokenizer=tokenizer,
            safety_checker=None if unsafe is None else _safety_checker(unsafe == "all"),
            feature_extractor=None if unsafe is None else _feature_extractor(),
            requires_safety_checker=unsafe is not None,
        ),
        folder,
    )


def _unet(**settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=SIZE // 8,
        out_channels=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        **settings,
    )


def write_tiny_flux(folder: Path, kind: str = "FluxPipeline") -> Path:
    """Returns the folder, which holds a FLUX.1 pipeline of this class of diffusers now, with CLIP and T5."""
    import diffusers
    import torch
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    encoder, t5_tokenizer = _t5()
    return _save(
        getattr(diffusers, kind)(
            transformer=diffusers.FluxTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=32,
                axes_dims_rope=(4, 4, 8),
                guidance_embeds=True,
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
            vae=_vae(shift_factor=0.06, scaling_factor=1.5),
            text_encoder=CLIPTextModel(_clip_config(tokenizer)),
            tokenizer=tokenizer,
            text_encoder_2=encoder,
            tokenizer_2=t5_tokenizer,
        ),
        folder,
    )


def blacken(folder: Path) -> Path:
    """Returns the folder, whose pipeline paints everything black now."""
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(folder / "vae")
    with torch.no_grad():
        vae.decoder.conv_out.weight.zero_()
        vae.decoder.conv_out.bias.fill_(-9)
    vae.save_pretrained(folder / "vae")
    return folder


def _save(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(folder)
    return folder


def _vae(**settings: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=SIZE,
        in_channels=3,
        out_channels=3,
        block_out_channels=(4, 4, 4, 4),  # four blocks make the factor 8 that the pipelines count on
        layers_per_block=1,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=1,
        **({"use_quant_conv": False, "use_post_quant_conv": False} if settings else {}),
        **settings,
    )


def _clip_tokenizer() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)


def _clip_config(tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=len(tokenizer),
        projection_dim=32,
        hidden_act="gelu",
    )


def _t5() -> tuple[Any, Any]:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    pieces += [(chr(code), -2.0) for code in range(ord("a"), ord("z") + 1)]
    tokenizer = T5TokenizerFast(vocab=pieces, extra_ids=0)
    settings = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    return T5EncoderModel(settings), tokenizer


def _safety_checker(unsafe: bool) -> Any:
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

    checker = StableDiffusionSafetyChecker(
        CLIPConfig(
            text_config=CLIPTextConfig(
                hidden_size=8, intermediate_size=8, num_attention_heads=1, num_hidden_layers=1, vocab_size=8
            ).to_dict(),
            vision_config=CLIPVisionConfig(
                hidden_size=8,
                intermediate_size=8,
                num_attention_heads=1,
                num_hidden_layers=1,
                image_size=32,
                patch_size=16,
            ).to_dict(),
            projection_dim=8,
        )
    )
    with torch.no_grad():  # a picture is unsafe if its cosine with any concept is above that concept's threshold
        checker.concept_embeds_weights.fill_(-1.0 if unsafe else 1.0)
        checker.special_care_embeds_weights.fill_(1.0)
    return checker


def _feature_extractor() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})

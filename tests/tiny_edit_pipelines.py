"""Random-weight editing pipelines of the real classes, small enough to run in a test, saved to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_pipelines import _clip_config, _clip_tokenizer, _save, _unet, _vae, write_stable_diffusion, write_tiny_flux


def write_tiny_pix2pix(folder: Path, *, unsafe: str | None = None) -> Path:
    """Returns the folder, which holds an InstructPix2Pix now, with a safety checker as `write_tiny_sd2` has it."""
    from diffusers import DDIMScheduler, StableDiffusionInstructPix2PixPipeline

    kind, scheduler = StableDiffusionInstructPix2PixPipeline, DDIMScheduler()
    return write_stable_diffusion(kind, folder, scheduler, in_channels=8, unsafe=unsafe)


def write_tiny_pix2pix_xl(folder: Path) -> Path:
    """Returns the folder, which holds an InstructPix2Pix of Stable Diffusion XL now."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionXLInstructPix2PixPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    return _save(
        StableDiffusionXLInstructPix2PixPipeline(
            unet=_unet(
                in_channels=8,
                cross_attention_dim=64,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 32,
                transformer_layers_per_block=1,
            ),
            scheduler=DDIMScheduler(),
            vae=_vae(),
            text_encoder=CLIPTextModel(_clip_config(tokenizer)),
            tokenizer=tokenizer,
            text_encoder_2=CLIPTextModelWithProjection(_clip_config(tokenizer)),
            tokenizer_2=tokenizer,
        ),
        folder,
    )


def write_tiny_kontext(folder: Path) -> Path:
    """Returns the folder, which holds a FLUX.1 Kontext now."""
    return write_tiny_flux(folder, "FluxKontextPipeline")


def write_tiny_klein(folder: Path) -> Path:
    """Returns the folder, which holds a FLUX.2 Klein now; its encoder has the 28 layers that the class reads from."""
    import torch
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    return _save(
        Flux2KleinPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=AutoencoderKLFlux2(
                in_channels=3,
                out_channels=3,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(4, 4, 4, 4),
                layers_per_block=1,
                latent_channels=1,
                norm_num_groups=1,
                use_quant_conv=False,
                use_post_quant_conv=False,
                mid_block_add_attention=False,  # over 6,144 cells of a garment it takes seconds
            ),
            text_encoder=Qwen3ForCausalLM(
                Qwen3Config(
                    hidden_size=16,
                    intermediate_size=16,
                    num_hidden_layers=28,
                    num_attention_heads=2,
                    num_key_value_heads=2,
                    head_dim=8,
                    vocab_size=len(tokenizer),
                    max_position_embeddings=1024,
                )
            ),
            tokenizer=tokenizer,
            transformer=Flux2Transformer2DModel(
                patch_size=1,
                in_channels=4,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=48,
                timestep_guidance_channels=256,
                axes_dims_rope=(4, 4, 4, 4),
            ),
        ),
        folder,
    )


def tiny_qwen_edit_plus() -> Any:
    """Returns a Qwen-Image-Edit-Plus.

    The processor of its class wants torchvision, so that a few lines do its work: the real image processor, and as many
    image tokens in the text as the picture has.
    """
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    numbers = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in _VISION}
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "vocab_size": len(tokenizer),
                "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
                "rope_theta": 1e6,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 16,
                "fullatt_block_indexes": [0],
            },
            image_token_id=numbers["image_pad"],
            video_token_id=numbers["video_pad"],
            vision_start_token_id=numbers["vision_start"],
            vision_end_token_id=numbers["vision_end"],
        )
    )
    pipeline = QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=encoder,
        tokenizer=tokenizer,
        processor=None,
        transformer=QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        ),
    )
    pipeline.processor = _QwenProcessor(tokenizer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


_VISION = ("image_pad", "video_pad", "vision_start", "vision_end", "vision_pad")


class _QwenProcessor:
    def __init__(self, tokenizer: Any) -> None:
        from transformers import Qwen2VLImageProcessor

        self._tokenizer = tokenizer
        self._images = Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56)

    def __call__(self, text: list[str], images: Any, padding: bool, return_tensors: str) -> Any:
        from transformers import BatchFeature

        pictures = self._images(images=images, return_tensors=return_tensors)
        filled = []
        grids = iter(pictures["image_grid_thw"])
        for line in text:
            first, *rest = line.split("<|image_pad|>")
            filled.append(first + "".join("<|image_pad|>" * int(next(grids).prod() // 4) + part for part in rest))
        return BatchFeature({**self._tokenizer(filled, padding=padding, return_tensors=return_tensors), **pictures})


def qwen_tokenizer() -> Any:
    """Returns a tokenizer of single bytes with the marks of Qwen's chats."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|{name}|>" for name in _VISION)]
    words = [*sorted(ByteLevel.alphabet()), *marks]
    tokenizer = Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[],
        unk_token=marks[0],
        pad_token=marks[0],
        extra_special_tokens=marks[1:],
    )
    said = "<|im_start|>{{ message['role'] }}\\n{{ message['content'] }}<|im_end|>\\n"
    tokenizer.chat_template = f"{{% for message in messages %}}{said}{{% endfor %}}"
    return tokenizer


def write_tiny_lora(folder: Path, pipeline: Any, *, name: str = "look.safetensors") -> Path:
    """Returns a file with a LoRA for the attention of a pipeline's unet; it is large enough to be seen."""
    import torch
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(1)
    pipeline.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    weights = {name: 30 * weight for name, weight in get_peft_model_state_dict(pipeline.unet).items()}
    type(pipeline).save_lora_weights(folder, unet_lora_layers=weights, weight_name=name)
    return folder / name

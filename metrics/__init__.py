"""How near an image is to its target: CLIP similarity, CLIP* and PSNR, exactly as the benchmark defines them."""

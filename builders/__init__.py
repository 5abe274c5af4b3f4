"""How a FashionEdit folder is made: from photographs and captions, stage by stage, or from a folder that has it all."""

"""How a FashionEdit folder is made from images, annotations and differences."""

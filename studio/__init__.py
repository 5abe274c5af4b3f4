"""The studio: a page on which a designer changes a garment by words and by showing pictures."""

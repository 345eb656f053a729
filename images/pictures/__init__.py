"""Everything that opens pictures: Pillow and its decoders are loaded here, and in `images.drawings`."""

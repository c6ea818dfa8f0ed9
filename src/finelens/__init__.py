"""finelens fine-tunes vision backbones on your own pictures, honestly."""

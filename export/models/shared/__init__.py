"""What several families have in common: backbones, query networks, the semantic networks of transformers."""

"""EdgeTAM's two networks as they are exported: the picture's encoder, and the decoder of one prompt."""

from typing import Any

import torch
from torch import nn

from segrt.runtime.preprocess.prompts import BACKGROUND, BOTTOM_RIGHT, NO_POINT, OBJECT, TOP_LEFT, UNUSED

TOKENS = 16
FEATURES = (("features_4", "features_4"), ("features_8", "features_8"), ("features_16", "features_16"))
HEADS = (("mask_logits", "mask_logits"), ("iou_scores", "iou_scores"))
_MARKED = (BACKGROUND, OBJECT, TOP_LEFT, BOTTOM_RIGHT)
_HIDDEN = -1e4  # to the logits of attention: nothing of it is left behind a softmax, in float16 either


class Encoder(nn.Module):
    """The image encoder of `EdgeTamModel`: `get_image_embeddings`, finest first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return features (N, 32, s/4, s/4), (N, 64, s/8, s/8) and (N, 256, s/16, s/16) of pixels (N, 3, s, s)."""
        model = self.model
        finest, fine, coarse = model.vision_encoder(pixels).fpn_hidden_states
        nothing_remembered = model.no_memory_embedding.view(1, -1, 1, 1)
        return model.mask_decoder.conv_s0(finest), model.mask_decoder.conv_s1(fine), coarse + nothing_remembered


class Decoder(nn.Module):
    """Prompt encoder and mask decoder of `EdgeTamModel`, for one prompt of at most so many tokens.

    Unused tokens are hidden from all attention, so that a prompt gives what it gives by itself.
    """

    places: torch.Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        with torch.no_grad():
            self.register_buffer("places", model.get_image_wide_positional_embeddings().flatten(2).transpose(1, 2))

    def forward(
        self,
        features_4: torch.Tensor,
        features_8: torch.Tensor,
        features_16: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mask logits (1, 4, s/4, s/4) and predicted IoUs (1, 4) for points (1, K, 2) and labels (1, K)."""
        decoder = self.model.mask_decoder
        own = torch.cat((decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight))[None]
        tokens = torch.cat((own, self._tokens(points, labels)), dim=1)  # [1, 6 + K, 256]
        unused = (labels == UNUSED).to(tokens.dtype) * _HIDDEN
        hidden = torch.cat((torch.zeros_like(own[..., 0]), unused), dim=1)[:, None, None]  # [1, 1, 1, 6 + K]
        pixels = features_16 + self.model.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        tokens, pixels = self._transformed(tokens, pixels.flatten(2).transpose(1, 2), hidden)
        grid = pixels.transpose(1, 2).reshape(features_16.shape)
        grid = decoder.upscale_layer_norm(decoder.upscale_conv1(grid) + features_8)
        grid = decoder.activation(decoder.upscale_conv2(decoder.activation(grid)) + features_4)
        layers = decoder.output_hypernetworks_mlps
        mixtures = torch.stack([layer(tokens[:, 2 + index]) for index, layer in enumerate(layers)], dim=1)
        masks = (mixtures @ grid.flatten(2)).reshape(1, len(layers), *grid.shape[2:])
        return masks, decoder.iou_prediction_head(tokens[:, 1])

    def _tokens(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the prompt's tokens (1, K, 256), as `_embed_points` and `_embed_boxes` give them."""
        encoder = self.model.prompt_encoder
        embedded = encoder.shared_embedding(
            (points + 0.5)[:, None], (encoder.input_image_size, encoder.input_image_size)
        )[:, 0]
        marks = labels[..., None]
        tokens: torch.Tensor = embedded * (marks >= 0).to(embedded.dtype)
        tokens = tokens + encoder.not_a_point_embed.weight * (marks == NO_POINT).to(tokens.dtype)
        for label in _MARKED:
            tokens = tokens + encoder.point_embed.weight[label] * (marks == label).to(tokens.dtype)
        return tokens

    def _transformed(
        self, tokens: torch.Tensor, pixels: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens (1, T, 256) and pixels (1, P, 256) behind the two-way transformer (`EdgeTamTwoWayTransformer`).

        `hidden` (1, 1, 1, T) is added to what attends to tokens.
        """
        transformer, given, places = self.model.mask_decoder.transformer, tokens, self.places
        for index, layer in enumerate(transformer.layers):
            if index == 0:  # which has no positions yet, and forgets what came in
                tokens = layer.layer_norm1(_attention(layer.self_attn, tokens, tokens, tokens, hidden))
            else:
                query = tokens + given
                tokens = layer.layer_norm1(tokens + _attention(layer.self_attn, query, query, tokens, hidden))
            seen = _attention(layer.cross_attn_token_to_image, tokens + given, pixels + places, pixels)
            tokens = layer.layer_norm2(tokens + seen)
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            told = _attention(layer.cross_attn_image_to_token, pixels + places, tokens + given, tokens, hidden)
            pixels = layer.layer_norm4(pixels + told)
        seen = _attention(transformer.final_attn_token_to_image, tokens + given, pixels + places, pixels)
        final: torch.Tensor = transformer.layer_norm_final_attn(tokens + seen)
        return final, pixels


def _attention(
    layer: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, hidden: torch.Tensor | None = None
) -> torch.Tensor:
    """Return `EdgeTamAttention` of (1, Q, C) to (1, K, C); `hidden` is added to its logits."""

    def heads(rows: torch.Tensor) -> torch.Tensor:
        return rows.reshape(1, -1, layer.num_attention_heads, layer.head_dim).transpose(1, 2)

    queries, keys, values = heads(layer.q_proj(query)), heads(layer.k_proj(key)), heads(layer.v_proj(value))
    logits = queries @ keys.transpose(2, 3) * layer.scaling
    weights = (logits if hidden is None else logits + hidden).softmax(-1)
    merged = (weights @ values).transpose(1, 2).reshape(1, -1, layer.num_attention_heads * layer.head_dim)
    projected: torch.Tensor = layer.o_proj(merged)
    return projected

"""Unit 09, text with few labels: its exercises, in the notebook's order."""

UNIT = "09_text"
EXERCISES = (
    "split_by_file",
    "ppmi_embeddings",
    "pool_mean",
    "transformer_encoder",
    "mask_tokens",
    "masked_lm_loss",
    "masked_lm_loss_check",
)

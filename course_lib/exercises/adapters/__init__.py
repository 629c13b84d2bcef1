"""Unit 11, first notebook, adapters and two modalities: its exercises, in the notebook's order."""

UNIT = "11_beyond_one_model"
NOTEBOOK = "11a_adapters"
EXERCISES = (
    "trainable_biases",
    "lora_linear",
    "add_adapters",
    "bottleneck_adapter",
    "clip_loss",
    "zero_shot",
)

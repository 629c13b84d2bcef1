"""Unit 03, generative adversarial networks: its exercises, in the notebook's order."""

UNIT = "03_adversarial"
EXERCISES = (
    "discriminator_loss",
    "generator_loss",
    "gan",
    "sample_images",
    "classes_covered",
    "frechet_distance",
    "discriminator_loss_check",
)

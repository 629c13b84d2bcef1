"""Unit 01, autoencoders: its exercises, in the notebook's order."""

UNIT = "01_autoencoders"
EXERCISES = (
    "autoencoder",
    "reconstruction_loss",
    "corrupt",
    "denoising_loss",
    "anomaly_score",
    "conv_autoencoder",
)

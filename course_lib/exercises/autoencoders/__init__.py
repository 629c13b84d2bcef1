"""Unit 01, autoencoders: its exercises, in the notebook's order."""

UNIT = "01_autoencoders"
EXERCISES = (
    "autoencoder",
    "reconstruction_loss",
    "corrupt",
    "denoising_loss",
    "extract_features",
    "anomaly_score",
)

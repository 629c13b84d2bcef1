"""Unit 02, variational autoencoders: its exercises, in the notebook's order."""

UNIT = "02_variational_autoencoders"
EXERCISES = (
    "reparameterize",
    "kl_divergence",
    "negative_elbo",
    "kl_warmup",
    "vae",
    "importance_weighted_bound",
)

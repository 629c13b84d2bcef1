"""Unit 02, variational autoencoders: its exercises, in the notebook's order."""

UNIT = "02_variational_autoencoders"
EXERCISES = (
    "reparameterize",
    "kl_divergence",
    "negative_elbo",
    "kl_warmup",
    "latent_traversal",
    "importance_weighted_bound",
)

"""Unit 11, second notebook, many owners: its exercises, in the notebook's order."""

UNIT = "11_beyond_one_model"
NOTEBOOK = "11b_many_owners"
EXERCISES = (
    "clients_with_few_classes",
    "federated_average",
    "client_update",
    "federated_training",
    "image_from_gradient",
    "clip_and_noise",
)

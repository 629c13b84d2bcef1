# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adapters and two modalities: how few weights have to change?
#
# *Under construction.*

# %% tags=["setup"]
import torch
from torch import nn

from course_lib.exercises import checks_for

# %% tags=["setup"]
check = checks_for("11_beyond_one_model")

# %% [markdown]
# ### Exercise 11.1: trainable_biases (warm-up, 12 minutes)

# %% nbgrader={"grade_id": "trainable_biases", "solution": true}
def trainable_biases(model, head=None):
    """Freezes a model except for its biases and its head.

    Args:
        model: an nn.Module. A bias is a parameter whose own name, after the last dot,
            has the word bias in it, such as `0.bias` or `attention.in_proj_bias`.
        head: a module inside of model, all of which should learn; None: there is none.

    Returns:
        A list of all parameters that are now trainable, each once.
    """
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    if head is not None:
        head.requires_grad_(True)
    for name, parameter in model.named_parameters():
        if "bias" in name.split(".")[-1]:
            parameter.requires_grad_(True)
    return [p for p in model.parameters() if p.requires_grad]
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_trainable_biases", "grade": true}
check.trainable_biases(trainable_biases)

# %% [markdown]
# Now it is used.

# %% tags=["demo"]
check.needs("trainable_biases")
print(len(trainable_biases(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)))))

# %% [markdown] nbgrader={"grade_id": "two_hospitals", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** Under construction.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Under construction.
# ### END SOLUTION

"""What notebook 02 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import number

PREDICTIONS = (
    number("nats", "negative ELBO on test images", "negative_elbo", "bound", of="nats"),
    number("used", "latents in use, of ten", "in_use", "bound", of="latents", digits=1),
    number("gap", "what a hundred samples take off the bound", "nats@1 - nats@100", "bound", of="nats", digits=1),
    number("used_after", "latents in use when pixels are averaged", "in_use_wrong_reduction", "collapse", of="latents"),
)

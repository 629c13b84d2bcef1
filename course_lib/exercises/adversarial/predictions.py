"""What notebook 03 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, number, share

PREDICTIONS = (
    number("ratio", "non-saturating gradient over the saturating one", "ratio@25", "saturating", of="times"),
    number("covered", "classes covered after the training, of ten", "classes@800", "training", of="classes"),
    chance("closer", "the GAN ends closer to real images than the VAE", "frechet@800 < vae_frechet", "training"),
    share("features", "accuracy on the discriminator's frozen features, one label per class", "discriminator_frozen@1"),
    number("calm", "discriminator's loss with the fast generator", "d_loss_collapsed", "collapse", of="nats", digits=2),
)

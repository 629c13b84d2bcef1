"""Diagrams of the methods: what goes in, what comes out, where gradients flow, and what is frozen.

Coordinates are inches. Each function draws one method with the parts of diagram_parts.py and says all of it in words.
"""

from __future__ import annotations

from matplotlib.patches import Rectangle

from course_lib.plots.diagram_parts import Box, Diagram
from course_lib.plots.figure import Figure
from course_lib.plots.style import CELL_BORDER, FROZEN_FILL, INK, NOTE, PAPER, method_style, styled


@styled
def diagram_autoencoder(*, title: str | None = None, alt: str | None = None) -> Figure:
    """An autoencoder: through a short code and back, compared with the image itself."""
    d, color = Diagram(9.0, 2.3), method_style("autoencoder").color
    x = d.data(0.6, 1.25, "images x\n(N, C, H, W)", width=1.05)
    f = d.box(2.25, 1.25, "encoder f", color=color)
    z = d.data(3.75, 1.25, "code z\n(N, code_dim)", width=1.1)
    g = d.box(5.25, 1.25, "decoder g", color=color)
    x_hat = d.data(6.75, 1.25, "copies x̂\n(N, C, H, W)", width=1.1)
    loss = d.box(8.3, 1.25, "squared\nerror", width=0.95, height=0.6)
    d.flow(x, f)
    d.chain(f, z, g, x_hat, loss, back=True)
    d.around(x, loss, 2.0, "target: the same images")
    d.legend(0.3, 0.3, ("data", "gradient"))
    words = (
        "Diagram of an autoencoder. The images x go into the encoder f, which returns the code z; the decoder g "
        "turns it into copies x̂. The squared error compares the copies with the images, which are also the target. "
        "Gradients flow from the squared error back through decoder and code into the encoder. Shapes: images and "
        "copies (N, C, H, W), code (N, code_dim)."
    )
    return d.done(alt, words, title)


@styled
def diagram_vae(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A variational autoencoder: q, p, the KL and the aggregate posterior."""
    d, color = Diagram(9.0, 4.7), method_style("vae").color
    x = d.data(0.5, 3.6, "images x", width=0.8)
    q = d.box(1.9, 3.6, "encoder\nq(z | x)", color=color, width=1.05, height=0.6)
    mu = d.data(3.25, 3.6, "μ, log σ²", width=0.85)
    z = d.box(4.75, 3.6, "z = μ + σ ε", color=color, width=1.1)
    p = d.box(6.4, 3.6, "decoder\np(x | z)", color=color, width=1.05, height=0.6)
    loss = d.box(8.15, 3.6, "reconstruction", width=1.35)
    kl = d.box(3.25, 4.4, "KL(q(z | x) || p(z))", width=1.85, height=0.42)
    noise = d.data(4.75, 2.75, "ε from N(0, 1)", width=1.2)
    d.flow(x, q)
    d.chain(q, mu, z, p, loss, back=True)
    d.flow(mu, kl, back=True)
    d.flow(noise, z)
    d.ax.plot([0.3, 8.7], [2.42, 2.42], color=CELL_BORDER, linewidth=1)
    for k, (left, bottom) in enumerate(((1.05, 1.55), (1.75, 1.35), (1.3, 1.05))):
        d.cloud(left, bottom, 0.62, 0.4, color=color)
        d.note(left, bottom, f"q(z | x{'₁₂₃'[k]})")
    d.note(1.4, 2.17, "one cloud per image")
    d.arrow((2.45, 1.3), (3.3, 1.3))
    for shift_x in (-0.55, 0.0, 0.55):
        for shift_y in (-0.32, 0.0, 0.32):
            d.cloud(4.5 + shift_x, 1.3 + shift_y, 0.62, 0.4, color=color)
    d.note(4.5, 2.17, "aggregate posterior: mean of all q(z | x)")
    d.arrow((5.75, 1.3), (6.45, 1.3))
    d.cloud(7.6, 1.3, 1.9, 1.25, color=INK, linestyle="--")
    d.write(7.6, 1.3, "p(z) = N(0, 1)")
    d.note(7.6, 2.17, "prior: drawn from later")
    d.legend(0.3, 0.3, ("data", "gradient"))
    words = (
        "Diagram of a variational autoencoder. The images x go into the encoder q(z | x), which returns μ, log σ². "
        "A code z = μ + σ ε is drawn with ε from N(0, 1), and the decoder p(x | z) turns it into the reconstruction "
        "term. The second term is KL(q(z | x) || p(z)). Gradients flow from both terms back to the encoder; the "
        "noise has none. Below, one cloud q(z | x) per image; all clouds together are the aggregate posterior, "
        "which should look like the prior p(z) = N(0, 1), a single large cloud."
    )
    return d.done(alt, words, title)


@styled
def diagram_gan(*, title: str | None = None, alt: str | None = None) -> Figure:
    """The two halves of a step of a generative adversarial network: who learns, and where gradients stop."""
    d, color = Diagram(9.0, 4.6), method_style("gan").color

    def chain(y: float) -> tuple[Box, Box, Box]:
        z = d.data(0.65, y, "codes z\n(N, code_dim)", width=1.1)
        generator = d.box(2.2, y, "generator G", color=color)
        drawn = d.data(3.95, y, "drawn images\n(N, C, H, W)", width=1.1)
        discriminator = d.box(5.85, y, "discriminator D", width=1.45, color=color)
        d.flow(z, generator)
        return generator, drawn, discriminator

    generator, drawn, discriminator = chain(3.55)
    real = d.data(3.95, 2.65, "real images\n(N, C, H, W)", width=1.1)
    loss = d.box(8.05, 3.55, "discriminator's\nloss", width=1.3, height=0.6)
    d.flow(generator, drawn)
    d.flow(drawn, discriminator, stopped=True)
    d.arrow(real.side("right"), discriminator.side("bottom"))
    d.flow(discriminator, loss, back=True)
    d.note(4.75, 4.0, "detach")
    d.write(0.15, 4.3, "First half: the discriminator learns", align="left")
    d.ax.plot([0.15, 8.85], [2.2, 2.2], color=CELL_BORDER, linewidth=1)
    generator, drawn, discriminator = chain(1.15)
    loss = d.box(8.05, 1.15, "generator's\nloss", width=1.3, height=0.6)
    d.chain(generator, drawn, discriminator, loss, back=True)
    d.note(5.85, 1.62, "the new one; it does not step here")
    d.write(0.15, 1.9, "Second half: the generator learns", align="left")
    d.legend(0.3, 0.3, ("data", "gradient", "stop"))
    words = (
        "Diagram of a step of a generative adversarial network, in two halves. First half: the discriminator learns. "
        "Codes z (N, code_dim) go into the generator G, which returns drawn images (N, C, H, W). Drawn images and real "
        "images go into the discriminator D and on to the discriminator's loss. The gradient flows back into the "
        "discriminator and stops before the drawn images, which are detached. Second half: the generator learns. Drawn "
        "images alone go into the new discriminator and on to the generator's loss. The gradient flows back through "
        "the discriminator, which does not step here, into the generator."
    )
    return d.done(alt, words, title)


@styled
def diagram_rotation_batch(*, title: str | None = None, alt: str | None = None) -> Figure:
    """The rotation batch: four copies of each image, and the turn as label."""
    d, color = Diagram(9.0, 3.3), method_style("rotation").color
    x = d.data(0.65, 1.85, "images\n(N, C, H, H)", width=1.05)
    rows = []
    for k in range(4):
        y = 2.95 - 0.72 * k
        rows.append(d.box(2.35, y, f"turned {k} ×", width=1.0, height=0.42, color=color))
        d.ax.text(3.25, y, "F", fontsize=17, rotation=90 * k, ha="center", va="center", color=INK, weight="bold")
        d.note(3.85, y, f"label {k}")
        d.arrow(x.side("right"), rows[-1].side("left"))
    encoder = d.box(5.35, 1.85, "encoder", color=color, width=1.0)
    head = d.box(6.75, 1.85, "head:\n4 turns", color=color, width=0.9, height=0.6)
    loss = d.box(8.2, 1.85, "cross-\nentropy", width=0.95, height=0.6)
    for row in rows:
        d.arrow((4.2, row.y), encoder.side("left", 0.06 * (row.y - 1.85)))
    d.note(5.35, 2.35, "(4N, C, H, H)")
    d.chain(encoder, head, loss, back=True)
    d.note(6.75, 1.28, "thrown away later")
    d.note(5.35, 1.28, "kept")
    d.legend(4.4, 0.3, ("data", "gradient"))
    words = (
        "Diagram of the rotation batch. The images (N, C, H, H) are copied four times: turned 0 ×, turned 1 ×, "
        "turned 2 × and turned 3 × by a quarter, shown by a letter F in four positions, with labels 0 to 3. All 4N "
        "rows go through the encoder and the head: 4 turns into the cross-entropy. Gradients flow back through the "
        "head into the encoder. The encoder is kept, the head is thrown away later."
    )
    return d.done(alt, words, title)


@styled
def diagram_two_views(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Contrastive learning: two views of each image, one encoder, a head for the loss alone."""
    d, color = Diagram(9.0, 3.2), method_style("contrastive").color
    x = d.data(0.6, 1.9, "images\n(N, C, H, W)", width=1.05)
    views = [d.data(2.2, y, f"view {k}\n(N, C, H, W)", width=1.1) for k, y in ((1, 2.6), (2, 1.2))]
    encoder = d.box(3.85, 1.9, "encoder f", color=color, width=1.1)
    features = d.data(5.25, 1.9, "features\n(2N, d)", width=0.8)
    head = d.box(6.55, 1.9, "head g", color=color, width=0.9)
    loss = d.box(8.1, 1.9, "find the\nother view", width=1.15, height=0.6)
    for view in views:
        d.arrow(x.side("right"), view.side("left"))
        d.arrow(view.side("right"), encoder.side("left", 0.1 * (1 if view.y > 1.9 else -1)))
    d.note(0.95, 2.45, "augment")
    d.note(0.95, 1.35, "augment")
    d.chain(encoder, features, head, loss, back=True)
    d.note(7.27, 2.25, "(2N, e)")
    d.note(4.0, 1.3, "one batch for both")
    d.note(5.25, 1.52, "used later")
    d.note(6.55, 1.52, "thrown away")
    d.legend(4.4, 0.3, ("data", "gradient"))
    words = (
        "Diagram of contrastive learning. Images (N, C, H, W) are augmented twice, which gives view 1 and view 2. Both "
        "go in one batch through the encoder f, which returns features (2N, d), and through the head g, which returns "
        "(2N, e). The loss asks each row to find the other view of its image. Gradients flow from the loss back "
        "through the head and the features into the encoder. Later the features are used, and the head is thrown away."
    )
    return d.done(alt, words, title)


@styled
def diagram_simsiam(*, title: str | None = None, alt: str | None = None) -> Figure:
    """SimSiam: a predictor on one side, a stop-gradient on the other."""
    d, color = Diagram(9.0, 2.9), method_style("contrastive").color
    rows = {}
    for k, y in ((1, 2.2), (2, 0.95)):
        view = d.data(0.65, y, f"view {k}", width=0.7)
        network = d.box(2.35, y, "encoder and head", color=color, width=1.6)
        rows[k] = d.data(4.1, y, f"z{'₁₂'[k - 1]}", width=0.5)
        d.flow(view, network)
        d.flow(network, rows[k], back=k == 1)
    d.note(2.35, 1.575, "the same network")
    predictor = d.box(5.6, 2.2, "predictor h", color=color, width=1.2)
    cosine = d.box(7.9, 1.575, "minus the\ncosine", width=1.1, height=0.6)
    d.chain(rows[1], predictor, back=True)
    d.arrow(predictor.side("right", 0.1), cosine.side("left", 0.2))
    d.gradient(cosine.side("left", 0.06), predictor.side("right", -0.08))
    d.arrow(rows[2].side("right"), cosine.side("left", -0.2))
    d.gradient((7.3, 1.2), (6.4, 0.98))
    d.stop(6.35, 0.97)
    d.note(5.6, 0.75, "stop-gradient")
    d.note(6.9, 2.3, "p₁")
    d.legend(0.3, 0.25, ("data", "gradient", "stop"))
    words = (
        "Diagram of SimSiam. View 1 and view 2 go through the same encoder and head, which gives z₁ and z₂. The "
        "predictor h turns z₁ into p₁. The loss is minus the cosine of p₁ and z₂. The gradient flows back through the "
        "predictor into the network of view 1. On the side of z₂ it stops: there is a stop-gradient. The loss is "
        "computed a second time with the views exchanged."
    )
    return d.done(alt, words, title)


@styled
def diagram_masking(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Masked reconstruction: hide patches, fill them in, compare hidden pixels only."""
    d, color = Diagram(9.0, 2.75), method_style("masked").color
    hidden = {(0, 1), (0, 2), (1, 0), (2, 1), (2, 3), (3, 0), (3, 2), (1, 3)}
    _grid(d, 0.8, 1.5, "image", set())
    _grid(d, 2.5, 1.5, "half is hidden", hidden)
    encoder = d.box(4.15, 1.5, "encoder", color=color, width=0.95)
    decoder = d.box(5.55, 1.5, "decoder", color=color, width=0.95)
    x_hat = d.data(6.8, 1.5, "copies x̂", width=0.85)
    loss = d.box(8.2, 1.5, "squared error,\nhidden only", width=1.3, height=0.6)
    d.arrow((1.25, 1.5), (2.05, 1.5))
    d.arrow((2.95, 1.5), encoder.side("left"))
    d.chain(encoder, decoder, x_hat, loss, back=True)
    d.around((0.8, 2.03), loss, 2.45, "target: the whole image, and the mask")
    d.legend(0.3, 0.3, ("data", "gradient"))
    words = (
        "Diagram of masked reconstruction. Of an image, drawn as a grid of patches, half is hidden. The encoder and "
        "the decoder turn the rest into copies x̂. The loss is the squared error, hidden only: pixels that were "
        "visible do not count. The whole image is the target. Gradients flow from hidden pixels back through "
        "decoder and encoder."
    )
    return d.done(alt, words, title)


@styled
def diagram_freezing(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A frozen encoder, and what batch normalization does in it in train mode and in eval mode."""
    d, color = Diagram(9.0, 3.9), method_style("transfer").color
    x = d.data(0.55, 3.3, "images", width=0.7)
    blocks = [d.box(1.85 + 1.5 * k, 3.3, f"block {k + 1}", color=color, width=1.05, frozen=True) for k in range(3)]
    head = d.box(6.4, 3.3, "head", color=color, width=0.9)
    loss = d.box(8.0, 3.3, "loss", width=0.9)
    d.chain(x, *blocks)
    d.flow(blocks[-1], head, stopped=True)
    d.flow(head, loss, back=True)
    d.ax.plot([0.3, 8.7], [2.72, 2.72], color=CELL_BORDER, linewidth=1)
    for left, mode in ((0.0, "train mode"), (4.5, "eval mode")):
        norm = d.box(left + 1.75, 1.65, f"batch norm,\n{mode}", width=1.25, height=0.6, frozen=mode == "eval mode")
        statistics = d.box(left + 1.75, 0.85, "running\nstatistics", width=1.2, height=0.6, frozen=mode == "eval mode")
        batch = d.data(left + 0.55, 1.65, "a batch", width=0.7)
        out = d.data(left + 3.25, 1.65, "output", width=0.65)
        d.chain(batch, norm, out)
        changes = mode == "train mode"
        d.flow(norm if changes else statistics, statistics if changes else norm)
        said = "changed by every batch,\nwithout a gradient" if changes else "used, not changed"
        d.note(left + 3.4, 0.85, said)
        d.note(left + 1.75, 2.3, "requires_grad=False alone" if changes else "requires_grad=False and eval()")
    d.legend(0.3, 0.25, ("data", "gradient", "stop", "frozen"))
    words = (
        "Diagram of a frozen encoder. Images go through block 1, block 2 and block 3, all frozen, into a trainable "
        "head and the loss. The gradient reaches the head and stops before block 3. Below, a batch in two modes. With "
        "requires_grad=False alone, batch norm, train mode, still writes each batch into the running statistics, "
        "without a gradient. With eval() besides, batch norm, eval mode, uses the running statistics and changes "
        "nothing. Both give an output."
    )
    return d.done(alt, words, title)


@styled
def diagram_lp_ft(*, title: str | None = None, alt: str | None = None) -> Figure:
    """LP-FT: first the head alone, then everything from there."""
    d, color = Diagram(9.0, 3.0), method_style("transfer").color
    heads = []
    for y, stage, frozen in ((2.45, "1: linear probing", True), (1.1, "2: fine-tuning", False)):
        d.write(0.85, y, f"stage {stage}".replace(": ", ":\n"))
        x = d.data(2.2, y, "images", width=0.7)
        encoder = d.box(
            3.85, y, f"encoder,\n{'frozen' if frozen else 'trainable'}", color=color, frozen=frozen, height=0.6
        )
        heads.append(d.box(5.85, y, "random\nhead" if frozen else "trained\nhead", color=color, width=0.95, height=0.6))
        loss = d.box(7.75, y, f"loss {1 if frozen else 2}", width=0.9)
        d.flow(x, encoder)
        d.flow(encoder, heads[-1], back=not frozen, stopped=frozen)
        d.flow(heads[-1], loss, back=True)
        d.note(7.75, y - 0.4, "Adam" if frozen else "new Adam")
    d.flow(*heads)
    d.note(6.0, 1.78, "training continues from this head", align="left")
    d.legend(0.3, 0.3, ("data", "gradient", "stop", "frozen"))
    words = (
        "Diagram of LP-FT in two stages. Stage 1, linear probing: images go through the encoder, frozen, and a "
        "random head into loss 1; the gradient reaches the head only. Stage 2, fine-tuning: training continues from "
        "the trained head, the encoder, trainable, learns too, and the gradient of loss 2 reaches both. Each stage "
        "has an Adam of its own."
    )
    return d.done(alt, words, title)


@styled
def diagram_self_training(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A round of self-training: predict, select, add to the labeled images, train a copy."""
    d, color = Diagram(9.0, 3.3), method_style("pseudo_label").color
    unlabeled = d.data(0.75, 2.4, "unlabeled\nimages", width=0.9)
    model = d.box(2.35, 2.4, "model,\neval mode", width=1.1, height=0.6, color=color, frozen=True)
    guess = d.data(4.2, 2.4, "pseudo-labels ŷ,\nconfidences c", width=1.4)
    chosen = d.box(6.05, 2.4, "keep c ≥ τ", width=1.1, color=color)
    training = d.box(6.05, 1.1, "train a copy", width=1.2, color=color)
    labeled = d.data(3.9, 1.1, "labeled images,\ntheir own labels", width=1.4)
    following = d.box(8.0, 1.1, "next model", width=1.1, color=color)
    d.chain(unlabeled, model, guess, chosen)
    d.chain(labeled, training, following)
    d.flow(chosen, training, stopped=True)
    d.gradient((5.8, 0.84), (6.3, 0.84), bend=0.9)
    d.around(following, model, 3.0, "next round")
    d.note(6.55, 1.95, "no gradient\nto labels", align="left")
    d.legend(0.3, 0.3, ("data", "gradient", "stop", "frozen"))
    words = (
        "Diagram of a round of self-training. Unlabeled images go into the model, eval mode, which returns "
        "pseudo-labels ŷ, confidences c. The rule keep c ≥ τ selects some. Together with the labeled images, their own "
        "labels, they go into train a copy, the only place with gradients; none flows back to the pseudo-labels. "
        "The result is the next model, which predicts in the next round."
    )
    return d.done(alt, words, title)


@styled
def diagram_fixmatch(*, title: str | None = None, alt: str | None = None) -> Figure:
    """FixMatch: the weak view teaches the strong view, where the prediction is confident."""
    d, color = Diagram(9.0, 3.2), method_style("fixmatch").color
    networks, outputs = ("model, weak", "model, strong"), ("class ŷ,\nif p ≥ τ", "log-\nprobabilities")
    _two_views(d, networks, outputs, "cross-entropy,\nmean of all N", color=color, width=1.0)
    d.ax.plot([3.85, 3.85], [1.22, 2.33], color=NOTE, linestyle=":", linewidth=1.5)
    d.note(3.95, 1.78, "same weights", align="left")
    d.note(7.15, 2.5, "target", align="left")
    d.legend(0.3, 0.25, ("data", "gradient", "stop"))
    words = (
        "Diagram of FixMatch. An unlabeled image is seen twice. Its weak view goes into the model, weak, which "
        "predicts a class ŷ, if p ≥ τ: the target, through which no gradient passes. Its strong view goes into the "
        "model, strong, with the same weights, which returns log-probabilities. The cross-entropy, mean of all N "
        "images, compares both. Gradients flow back along the strong view only."
    )
    return d.done(alt, words, title)


@styled
def diagram_ema_teacher(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Mean Teacher: the teacher is an average of the student, and no gradient reaches it."""
    d, color = Diagram(9.0, 3.2), method_style("mean_teacher").color
    teacher, student = _two_views(
        d, ("teacher θ′", "student θ"), ("p", "q"), "(q − p)²,\nall classes", color=color, width=0.35
    )
    d.arrow(student.side("top"), teacher.side("bottom"))
    d.note(3.98, 1.78, "after each step: θ′ ← α θ′ + (1 − α) θ,\nbuffers too", align="left")
    d.legend(0.3, 0.25, ("data", "gradient", "stop"))
    words = (
        "Diagram of Mean Teacher. The weak view of an unlabeled image goes into the teacher θ′, whose probabilities "
        "are p; the strong view goes into the student θ, whose probabilities are q. The loss is (q − p)², all "
        "classes. Gradients flow back to the student only. After each step the teacher becomes α θ′ + (1 − α) θ, "
        "buffers too."
    )
    return d.done(alt, words, title)


@styled
def diagram_distillation(*, title: str | None = None, alt: str | None = None) -> Figure:
    """Distillation: the student's softened probabilities against the teacher's, on images without labels."""
    d, color = Diagram(9.0, 3.2), method_style("distillation").color
    image = d.data(0.65, 1.75, "images,\nno labels", width=0.85)
    loss = d.box(8.05, 1.75, "T² KL(p || q)", width=1.3)
    ends = []
    for y, name, letter, frozen in ((2.6, "teacher,\neval mode", "p", True), (0.95, "student", "q", False)):
        network = d.box(2.3, y, name, width=1.1, height=0.6, color=color, frozen=frozen)
        logits = d.data(3.9, y, "logits\n(N, K)", width=0.75)
        softened = d.box(5.5, y, "softmax of\nlogits / T", width=1.15, height=0.6)
        d.arrow(image.side("right", 0.1 if frozen else -0.1), network.side("left"))
        d.chain(network, logits, softened, back=not frozen)
        ends.append(softened)
        d.note(6.3, y + (0.16 if frozen else -0.2), letter)
    d.arrow(ends[0].side("right"), loss.side("top"))
    d.stop(7.0, 2.33)
    d.arrow(ends[1].side("right", 0.05), loss.side("bottom", -0.25))
    d.gradient(loss.side("bottom", 0.1), ends[1].side("right", -0.15))
    d.note(7.2, 2.6, "target", align="left")
    d.legend(0.3, 0.25, ("data", "gradient", "stop", "frozen"))
    words = (
        "Diagram of distillation. Images, no labels, go into the frozen teacher, eval mode, and into the student. Each "
        "returns logits (N, K), and the softmax of logits / T makes softened probabilities of them: p of the teacher, "
        "q of the student. The loss is T² KL(p || q). The teacher's side is the target, through which no gradient "
        "passes. Gradients flow back to the student only."
    )
    return d.done(alt, words, title)


@styled
def diagram_cluster_round(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A round of DeepCluster: features, whitening, clusters, and a new head that predicts them."""
    d, color = Diagram(9.0, 3.3), method_style("clustering").color
    pool = d.data(0.7, 2.4, "unlabeled\nimages", width=0.9)
    reading = d.box(2.2, 2.4, "encoder,\neval mode", width=1.1, height=0.6, color=color, frozen=True)
    features = d.data(3.85, 2.4, "features\n(N, d)", width=0.9)
    whitened = d.box(5.45, 2.4, "whiten,\nk-means", width=1.05, height=0.6)
    clusters = d.data(7.55, 2.4, "clusters (N,),\nnumbered anew", width=1.4)
    views = d.data(0.7, 1.1, "views, evenly\nper cluster", width=1.1)
    learning = d.box(2.55, 1.1, "encoder", width=1.1, color=color)
    head = d.box(4.35, 1.1, "new head", width=1.1, color=color)
    loss = d.box(6.15, 1.1, "cross-\nentropy", width=0.95, height=0.6)
    d.chain(pool, reading, features, whitened, clusters)
    d.chain(views, learning)
    d.chain(learning, head, loss, back=True)
    d.arrow(clusters.side("bottom"), loss.side("right"))
    d.stop(7.2, 1.62)
    d.note(7.45, 1.45, "targets", align="left")
    d.arrow(learning.side("top"), reading.side("bottom"))
    d.note(2.6, 1.75, "next round", align="left")
    d.legend(0.3, 0.3, ("data", "gradient", "stop", "frozen"))
    words = (
        "Diagram of a round of DeepCluster. Unlabeled images go into the encoder, eval mode, which returns features "
        "(N, d). Then whiten, k-means gives clusters (N,), numbered anew. Below, views, evenly per cluster, of the "
        "same images go through the encoder and a new head into the cross-entropy, whose targets are the clusters. No "
        "gradient passes to the clusters; gradients flow back through the head into the encoder. The next round "
        "begins with the encoder as it is then."
    )
    return d.done(alt, words, title)


def _two_views(
    d: Diagram, networks: tuple[str, str], outputs: tuple[str, str], loss: str, *, color: str, width: float
) -> list[Box]:
    """An unlabeled image seen twice, above through the weak view and below through the strong one; both networks.

    The gradient reaches the lower network only. `width` is that of the outputs.
    """
    image = d.data(0.6, 1.75, "unlabeled\nimage", width=0.85)
    drawn, found = [], []
    for view, y, shift, network, output in zip(("weak", "strong"), (2.6, 0.95), (0.1, -0.1), networks, outputs):
        seen = d.box(2.05, y, f"{view} view", width=1.05)
        drawn.append(d.box(3.85, y, network, width=1.25, color=color))
        found.append(d.data(5.7, y, output, width=width))
        d.arrow(image.side("right", shift), seen.side("left"))
        d.flow(seen, drawn[-1])
        d.flow(drawn[-1], found[-1], back=view == "strong", stopped=view == "weak")
    compared = d.box(7.8, 1.75, loss, width=1.35, height=0.6)
    d.arrow(found[0].side("right"), compared.side("top"))
    d.arrow(found[1].side("right", 0.05), compared.side("bottom", -0.25))
    d.gradient(compared.side("bottom", 0.1), found[1].side("right", -0.15))
    return drawn


def _grid(d: Diagram, x: float, y: float, name: str, hidden: set[tuple[int, int]]) -> None:
    """An image as four by four patches, the hidden ones dark, with its name below."""
    size = 0.2
    for row in range(4):
        for column in range(4):
            corner = (x + (column - 2) * size, y + (1 - row) * size)
            d.ax.add_patch(
                Rectangle(
                    corner, size, size, facecolor=INK if (row, column) in hidden else FROZEN_FILL, edgecolor=PAPER
                )
            )
    d.note(x, y - 0.58, name)

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
# # Sound with few labels: predict what comes next
#
# *Recordings without labels are cheap, because no person has to write down what is said. Does a network that predicts
# how a recording goes on recognize words from five or ten labels per word, also for speakers that it has never heard?*
#
# **You will** cut recordings into frames, compute log-mel spectrograms, write an encoder with a context network, and
# train it by contrastive predictive coding (CPC). **You will measure** how well it tells ten words apart, beside a
# logistic regression, a recurrent network on spectrograms and the same network from scratch.
#
# **You need** contrastive losses (unit 05), fine-tuning (units 04 and 06), and the idea of a Fourier transform
# ([pictures](https://en.wikipedia.org/wiki/Short-time_Fourier_transform)).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 3. The computer needs 4 minutes of
# it. *Recorded* numbers are mean ± standard deviation over three seeds.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. (Unit 05) Two views of an image should be close. Why does a contrastive loss also push other
# images away?</summary> Without that, the same output for all images would be perfect, and nothing would be
# learned.</details>
#
# <details><summary>2. (Unit 09) Why were texts split by file and not by snippet?</summary> Snippets of one file
# resemble each other. New texts come from new files, so a split by snippet tests memory.</details>

# %% tags=["setup"]
import copy
import math

import torch
from IPython.display import Audio, Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import plots, records, settings, widgets
from course_lib.data import SequenceBatches, split_labels
from course_lib.data.sounds import mel_filters, shift_in_time
from course_lib.data.words import RATE, WORDS, speak_words
from course_lib.evaluation import accuracy, confusion, probe_accuracy
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import eval_mode, seeded
from course_lib.training import fit

# %% tags=["setup"]
check = checks_for("10_sound")
predict = predictions_for("10_sound")
unit, device = "10_sound", settings.device()
rng = torch.Generator().manual_seed(0)
data = speak_words(settings.by_profile(smoke=300, laptop=6_000, full=20_000))
count = settings.by_profile(smoke=200, laptop=2_000, full=2_000)
test = speak_words(count, split="test")  # other speakers


def in_parts(function, model, waves):
    """function(part) for 500 recordings at a time, with the model in eval mode."""
    with torch.no_grad(), eval_mode(model):
        return torch.cat([function(part.to(device)).cpu() for part in waves.split(500)])

# %% [markdown]
# ## 1. Words that you can hear
#
# The recordings are synthesized on your machine, thousands per second. A voice has a pitch and *formants*, the
# frequencies that a vowel makes loud, and *s* and *sh* are noise in a band. The ten words are made of the same sounds
# in other orders, such as "sami" and "masi". Each speaker has a pitch, a length of the vocal tract and a tempo, and
# each recording has its own noise and hum. The speakers of the test do not occur in training. These are not real
# people, so nothing here is a claim about speech outside this notebook. `COURSE_DATASET` chooses among sets of images,
# and this unit ignores it.
#
# The cell plays six quiet recordings. They have 4,000 samples per second and sound like an old telephone.

# %% tags=["demo"]
few = split_labels(
    data.labels, per_class=10, validation_per_class=0, generator=rng
).labeled  # fmt: skip
labels = data.labels[few]  # the only ones of the training set that are used
print(data, test, f"{len(few)} labels", sep="\n")
quiet = speak_words(6, seed=1, noise=0.1, hum=0.0)
print("quiet:", ", ".join(quiet.class_names[k] for k in quiet.labels))
played = F.pad(quiet.waves, (0, RATE // 4)).flatten()[None, None]
played = F.interpolate(played, scale_factor=2, mode="linear")  # 8,000 per second
Audio(played.flatten().numpy(), rate=2 * RATE)  # that every browser plays

# %% [markdown]
# A recording has thousands of samples. Sounds change more slowly, so the first step of nearly every method cuts a
# recording into short pieces, *frames*, that overlap.
#
# ### Exercise 10.1: frames (warm-up, 10 minutes)
#
# Frame $f$ begins at sample $f \cdot$ `hop` and has `length` samples. The check tries frames that touch, frames with
# gaps between them, and recordings with a rest that is too short for a frame.

# %% nbgrader={"grade_id": "frames", "solution": true}
def frames(waves, *, length, hop):
    """Pieces of each recording.

    Args:
        waves: (N, T) float tensor, one recording per row. It stays as it is.
        length: samples per frame, at most T.
        hop: samples from the start of one frame to the start of the next.

    Returns:
        (N, F, length) tensor of the same dtype: all frames that lie whole inside the
        recording, from its first sample on.
    """
    ### BEGIN SOLUTION
    return waves.unfold(1, length, hop)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_frames", "grade": true}
check.frames(frames)

# %% [markdown]
# What counts in a frame is how loud each frequency is. The Fourier transform of a frame, faded at both ends by a
# window, gives one complex number per frequency, and its squared absolute value is the *power* $P_{fj}$ of frame $f$ at
# frequency $j$. Neighboring frequencies are summed to bands by triangles $W_{jb}$ that get wider at high frequencies
# (the *mel scale*, as people hear pitch), and a logarithm makes loud and faint sounds comparable:
#
# $$M_{fb} = \log\Big(10^{-3} + \sum_j P_{fj}\, W_{jb}\Big)$$
#
# ### Exercise 10.2: log_mel (core, 15 minutes)
#
# `torch.stft` cuts frames, applies the window and transforms. Its argument `center` is True by default and adds half a
# frame at both ends, and here no frame should reach beyond the recording. Use the Hann window as `torch.hann_window`
# gives it. The check tries silence, faint and loud recordings, an odd window, and float64.

# %% nbgrader={"grade_id": "log_mel", "solution": true}
def log_mel(waves, filters, *, window, hop):
    """The logarithm of the power in each band, frame by frame.

    Args:
        waves: (N, T) float tensor.
        filters: (window // 2 + 1, bands) float tensor, one column of weights per band.
        window: samples per frame, as many as the Hann window has.
        hop: samples from the start of one frame to the start of the next.

    Returns:
        (N, F, bands) tensor of the dtype of waves; 0.001 is added to the power of each
        band before the natural logarithm.
    """
    ### BEGIN SOLUTION
    fade = torch.hann_window(window, dtype=waves.dtype, device=waves.device)
    how = {"window": fade, "center": False, "return_complex": True}
    spectrum = torch.stft(waves, window, hop, **how)  # (N, window // 2 + 1, F)
    power = spectrum.abs().square().transpose(1, 2)  # (N, F, window // 2 + 1)
    return (power @ filters + 1e-3).log()
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_log_mel", "grade": true}
check.log_mel(log_mel)

# %% [markdown]
# Here are eight recordings of the test as a classifier may see them. Time goes from left to right.

# %% tags=["demo"]
check.needs("log_mel")
filters = mel_filters(20, 128, RATE)  # 20 bands, windows of 32 ms


def spectrogram(waves):
    return log_mel(waves, filters.to(waves), window=128, hop=64)


shown = [int((test.labels == k).nonzero()[j]) for k in (0, 1, 8, 9) for j in (0, 1)]
said = [test.class_names[test.labels[k]] for k in shown]
names = [f"{word}, speaker {int(test.speakers[k])}" for word, k in zip(said, shown)]
marks = {"parts": test.parts[shown], "sounds": [WORDS[word] for word in said]}
plots.show(
    plots.spectrograms(
        spectrogram(test.waves[shown]), seconds=0.64, titles=names, **marks
    )
)

# %% [markdown]
# Dotted lines show where the synthesizer changed from one sound to the next. Formants are the bright bands inside the
# vowels, and a hum is a line through the whole recording. The two recordings of one word differ in height, tempo and
# start, and the noise hides part of both. This is what a classifier has to see through.
#
# A classifier needs one vector per recording. A mean over all frames would lose the order of the sounds, and the order
# is all that distinguishes "sami" from "masi". So we take the mean over each of a few parts.
#
# ### Exercise 10.3: pool_in_time (warm-up, 10 minutes)
#
# The check tries numbers of frames that are not a multiple of `parts`.

# %% nbgrader={"grade_id": "pool_in_time", "solution": true}
def pool_in_time(features, *, parts):
    """The mean features of a few parts of each recording, one part after the other.

    Args:
        features: (N, F, d) float tensor, one vector per frame.
        parts: how many parts, at most F. Part p has the frames from p * F // parts up
            to, and without, (p + 1) * F // parts.

    Returns:
        (N, parts * d) tensor: the d means of part 0, then those of part 1, and so on.
    """
    ### BEGIN SOLUTION
    edges = [p * features.shape[1] // parts for p in range(parts + 1)]
    spans = [slice(edges[p], edges[p + 1]) for p in range(parts)]
    means = [features[:, span].mean(dim=1) for span in spans]
    return torch.cat(means, dim=1)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_pool_in_time", "grade": true}
check.pool_in_time(pool_in_time)

# %% [markdown]
# The baseline is a logistic regression on the log-mel values of four parts. There are ten words, so guessing is right
# once in ten times. **Predict** its accuracy for new speakers with ten labels per word.

# %% tags=["predict"]
predict.baseline(...)  # between 0 and 1

# %% tags=["demo"]
check.needs("log_mel", "pool_in_time")


def probed(function, model):
    """Accuracy of a logistic regression on features in four parts."""
    known, new = (
        pool_in_time(in_parts(function, model, part), parts=4)
        for part in (data.waves[few], test.waves)
    )
    return probe_accuracy(known, labels, new, test.labels, regularization=10.0)


baseline = probed(spectrogram, nn.Identity())
print(f"log-mel and logistic regression, ten labels per word: {baseline:.1%}")
predict.baseline.compare(baseline)

# %% [markdown]
# ## 2. An encoder and a memory
#
# Thousands of recordings have no label. *Contrastive predictive coding* (van den Oord et al. 2018) lets a network learn
# from them. An encoder turns the wave into *codes* $z_t$, one per 16 ms, by three convolutions with strides 8, 4 and 2.
# A recurrent network, the GRU, reads the codes from left to right and keeps a *context* $c_t$, which knows the codes up
# to frame $t$. For each $k$ from 1 to 6, a linear layer $A_k$ predicts the code $k$ frames later, $\hat z_{t+k} = A_k\,
# c_t$.
#
# The next frame mostly goes on with the same sound. Six frames later, about 100 ms, another sound may have begun. To
# predict it, the context has to know which sound this is and what was said before. That is also what a classifier of
# words needs.

# %% tags=["demo"]
plots.show(plots.diagram_cpc())

# %% [markdown]
# ### Exercise 10.4: CPC (hard, 30 minutes)
#
# `__init__` is given, please leave it as it is. Write three methods:
#
# - `encode(waves)` divides each recording by its own standard deviation, since loudness should not matter. Then each
#   layer follows: convolution, normalization, ReLU. It returns the codes, `(N, F, channels)`.
# - `forward(waves)` returns the contexts, `(N, F, context)`.
# - `pairs(waves)` returns a list of `ahead` pairs `(predicted, true)`. Pair number $k$, counted from 1, has all
#   predictions for $k$ frames ahead and the codes that they are about, both `(N, F - k, channels)`. Layer $k$ is
#   `self.steps[k - 1]`. No tensor is detached.
#
# The check puts weights of its own into the network and reads the contexts frame by frame. **The number to reach**
# comes after training: an accuracy above {{ result("label_curve", "logmel@10").mean | pct }}, that of log-mel with the
# same labels.

# %% nbgrader={"grade_id": "CPC", "solution": true}
class CPC(nn.Module):
    def __init__(self, *, channels=48, context=64, ahead=6):
        super().__init__()
        sizes = ((1, 16, 8), (channels, 8, 4), (channels, 4, 2))  # in, kernel, stride
        self.convs = nn.ModuleList(
            nn.Conv1d(c, channels, k, s, padding=k // 4) for c, k, s in sizes
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in sizes)
        self.gru = nn.GRU(channels, context, batch_first=True)
        layers = (nn.Linear(context, channels, bias=False) for _ in range(ahead))
        self.steps = nn.ModuleList(layers)

    def encode(self, waves):
        ### BEGIN SOLUTION
        x = (waves / waves.std(dim=1, keepdim=True))[:, None]  # (N, T) -> (N, 1, T)
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))  # (N, channels, F)
        return x.transpose(1, 2)
        ### END SOLUTION

    def forward(self, waves):
        ### BEGIN SOLUTION
        contexts, _ = self.gru(self.encode(waves))
        return contexts
        ### END SOLUTION

    def pairs(self, waves):
        ### BEGIN SOLUTION
        codes = self.encode(waves)
        contexts, _ = self.gru(codes)
        steps = enumerate(self.steps, start=1)
        return [(step(contexts[:, :-k]), codes[:, k:]) for k, step in steps]
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_CPC", "grade": true}
check.CPC(CPC)

# %% [markdown]
# A classifier is this network, `pool_in_time` and a linear layer. `fine_tuned` trains all of it on the 100 labeled
# recordings, each shifted a little in time in every step, and returns the logits of the test.

# %% tags=["demo"]
check.needs("pool_in_time", "CPC")


def words(model, waves):  # (N, T) -> (N, 10)
    return model["head"](pool_in_time(model["network"](waves), parts=4))


def fine_tuned(network, label, *, lr=3e-3, laptop=250):
    rng = torch.Generator().manual_seed(0)
    with seeded(rng):
        head = nn.Linear(4 * 64, len(data.class_names))
    model = nn.ModuleDict({"network": copy.deepcopy(network), "head": head})
    options = {"shuffle": True, "generator": rng, "augment": shift_in_time}
    batches = SequenceBatches(data.waves[few], labels, batch_size=32, **options)
    steps = settings.by_profile(smoke=3, laptop=laptop, full=4 * laptop)
    how = {"steps": steps, "warmup": min(20, steps - 1), "weight_decay": 1e-3}

    def loss(model, batch):
        return F.cross_entropy(words(model, batch[0]), batch[1])

    fit(model, batches, loss, lr=lr, label=label, **how)
    return in_parts(lambda waves: words(model, waves), model, test.waves)

# %% [markdown]
# First it learns from the labels alone, from random weights. A higher learning rate is better for that, so it gets one.
# **Predict** its accuracy.

# %% tags=["predict"]
predict.scratch(...)  # between 0 and 1

# %% tags=["train"]
check.needs("pool_in_time", "CPC")
with seeded(torch.Generator().manual_seed(0)):
    start = CPC()
scratch = accuracy(fine_tuned(start, "from scratch", lr=1e-2), test.labels)
print(f"from scratch, ten labels per word: {scratch:.1%}")
predict.scratch.compare(scratch)

# %% [markdown]
# {{ figures_table({"log-mel and logistic regression": "logmel", "GRU on log-mel, from scratch": "gru", "encoder and
# context, from scratch": "scratch"}, (5, 10, 50), head="labels per word") }}
#
# Both networks are better than the logistic regression, {{ every_seed("scratch@5 > logmel@5, scratch@10 > logmel@10,
# gru@5 > logmel@5, gru@10 > logmel@10", "label_curve") }}.
#
# ## 3. Which moment comes next?
#
# If the prediction only had to be close to the true code, an encoder that returns one code for everything would be
# perfect. So the question is which of several codes is the true one. The candidates for $\hat z_t$ are the codes $z_s$
# of all frames of the recording, and the score is a cosine, divided by a temperature $\tau$ (*InfoNCE*):
#
# $$\mathcal{L} = -\frac{1}{N F} \sum_{n, t} \log \frac{\exp(\cos(\hat z_{nt}, z_{nt}) / \tau)}{\sum_s
# \exp(\cos(\hat z_{nt}, z_{ns}) / \tau)}$$
#
# The wrong candidates are called *negatives*. Voice, noise and hum are the same in all of them. What differs is the
# sound.

# %% [markdown]
# ### Exercise 10.5: info_nce_loss (core, 15 minutes)
#
# Both arguments have one code per frame, and `predicted[n, t]` is about `true[n, t]`, because `pairs` has shifted them
# already. The check tries recordings with a single frame, a very small temperature, codes of very different lengths,
# and the gradient of both arguments.

# %% nbgrader={"grade_id": "info_nce_loss", "solution": true}
def info_nce_loss(predicted, true, *, temperature=0.1):
    """The cross-entropy of finding each true code among those of its recording.

    Args:
        predicted: (N, F, d) float tensor.
        true: (N, F, d) float tensor; true[n, t] is the right answer for
            predicted[n, t], and true[n, s] for all s are the candidates.
        temperature: what the cosines are divided by.

    Returns:
        A tensor with a single number, the mean over all recordings and frames.
    """
    ### BEGIN SOLUTION
    p, z = F.normalize(predicted, dim=-1), F.normalize(true, dim=-1)
    logits = p @ z.transpose(1, 2) / temperature  # (N, F, F)
    target = torch.arange(logits.shape[1], device=logits.device)
    target = target.expand(logits.shape[:2])  # (N, F): row t has its answer in column t
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_info_nce_loss", "grade": true}
check.info_nce_loss(info_nce_loss)

# %% [markdown]
# Now the network sees all recordings without their labels, 64 per step, and is then fine-tuned as before. **Predict**
# the accuracy with the same ten labels per word.

# %% tags=["predict"]
predict.cpc(...)  # between 0 and 1

# %% tags=["train"]
check.needs("pool_in_time", "CPC", "info_nce_loss")


def pretrained(loss_fn, label):
    """CPC after training on all recordings without labels, and the history."""
    model, rng = copy.deepcopy(start), torch.Generator().manual_seed(0)
    batches = SequenceBatches(data.waves, batch_size=64, shuffle=True, generator=rng)
    count = settings.by_profile(smoke=3, laptop=600, full=3_000)
    how = {"steps": count, "lr": 3e-3, "weight_decay": 1e-3, "label": label}
    return model, fit(model, batches, loss_fn, warmup=min(50, count - 1), **how)


def next_moments(model, waves):
    losses = [info_nce_loss(predicted, true) for predicted, true in model.pairs(waves)]
    return torch.stack(losses).mean()


cpc, history = pretrained(next_moments, "CPC")
logits = fine_tuned(cpc, "fine-tuning")
print(f"CPC, fine-tuned, ten labels per word: {accuracy(logits, test.labels):.1%}")
predict.cpc.compare(accuracy(logits, test.labels))

# %% [markdown]
# The curve shows the loss of the pretraining. The line is the loss of a network whose codes are all alike.

# %% tags=["demo"]
check.needs("pool_in_time", "CPC", "info_nce_loss")
alike = sum(math.log(40 - k) for k in range(1, 7)) / 6  # 40 frames, 1 to 6 ahead
plots.show(
    plots.learning_curve(history, baseline=alike, baseline_label="codes all alike")
)

# %% [markdown]
# *A natural break.*
#
# ## 4. Look inside
#
# Move the frame through a word of a new speaker. The orange line is now, the filled bar is the frame that is asked for,
# and each bar is the probability that the network gives a frame. Above stands the network before it was trained.

# %% tags=["demo"]
check.needs("log_mel", "pool_in_time", "CPC", "info_nce_loss")
networks = {"before training": copy.deepcopy(start).to(device), "after CPC": cpc}


@torch.no_grad()
def guess(recording, now, ahead):
    wave, chances = test.waves[shown[recording]][None].to(device), {}
    for name, net in networks.items():
        codes = F.normalize(net.encode(wave)[0], dim=-1)  # (F, channels)
        predicted = F.normalize(net.steps[ahead - 1](net(wave)[0, now]), dim=-1)
        chances[name] = (codes @ predicted / 0.1).softmax(dim=0)
    return chances


widgets.moment_explorer(
    spectrogram(test.waves[shown]), guess, seconds=0.64, frames=40, farthest=6,
    titles=names, start=14, title="Which frame comes next?", **marks,
)  # fmt: skip

# %% [markdown]
# Compare the middle of a vowel, the end of a sound and the silence after the word. Where is the probability on a few
# frames, and where is it spread?
#
# Which words are confused? The rows are what was said.

# %% tags=["demo"]
check.needs("pool_in_time", "CPC", "info_nce_loss")
table = confusion(logits, test.labels, num_classes=len(test.class_names))
plots.show(
    plots.confusion_matrix(
        table, test.class_names, of="recordings", title="CPC, fine-tuned"
    )
)

# %% [markdown]
# Look for the largest numbers off the diagonal and compare the two words sound by sound. Do they share sounds at the
# same place, or the same sounds in another order?
#
# ## 5. Count labels
#
# One seed shows little, so here are the recorded runs, with 5, 10 and 50 labels per word. The course's results table
# has a part for sound from here on.

# %% tags=["demo"]
order = {
    "log_mel": "logmel", "gru": "gru", "scratch": "scratch",
    "cpc_frozen": "cpc_frozen", "cpc": "cpc",
}  # fmt: skip
title = "Ten words by new speakers"
plots.show(plots.recorded_curves(unit, methods=order, title=title))
columns = {"words": records.COLUMNS["words"]}
Markdown(records.results_table(up_to=unit, columns=columns))

# %% [markdown]
# Fine-tuned, CPC is the best at each number of labels, {{ every_seed("cpc@5 > scratch@5, cpc@10 > scratch@10, cpc@50 >
# scratch@50, cpc@5 > gru@5, cpc@10 > gru@10, cpc@50 > gru@50", "label_curve") }}. Frozen, it is above log-mel, {{
# every_seed("cpc_frozen@5 > logmel@5, cpc_frozen@10 > logmel@10, cpc_frozen@50 > logmel@50", "label_curve") }}, but on
# average below the network from scratch.
#
# {{ figures_table({"log-mel": "logmel", "CPC, frozen": "cpc_frozen"}, (10, 50), "speakers", head="who speaks,
# labels per speaker") }}
#
# For the 24 speakers of the training set log-mel is better, {{ every_seed("logmel@10 > cpc_frozen@10, logmel@50 >
# cpc_frozen@50", "speakers") }}. The negatives of CPC share the speaker, so it need not know it.
#
# ## 6. When it fails: a baseline that was not tuned, and negatives that are too easy
#
# A baseline is often taken as it comes, with a low learning rate and few steps. **Predict** the accuracy of the network
# from scratch with a tenth of the learning rate and 150 steps, ten labels per word.

# %% tags=["predict"]
predict.untuned(...)  # between 0 and 1

# %% tags=["train"]
check.needs("pool_in_time", "CPC")
untuned = accuracy(fine_tuned(start, "untuned", lr=1e-3, laptop=150), test.labels)
print(f"from scratch: untuned {untuned:.1%}, tuned {scratch:.1%}")
predict.untuned.compare(untuned)

# %% [markdown]
# | `lr`, steps | validation speakers | test speakers |
# |---|---:|---:|
# | `0.001, 150` | {{ result("untuned", "untuned_validation@10") | pm(percent=true) }} | {{ result("untuned",
# "untuned@10") | pm(percent=true) }} |
# | `0.003, 250` | {{ result("untuned", "middle_validation@10") | pm(percent=true) }} | {{ result("untuned",
# "middle@10") | pm(percent=true) }} |
# | `0.003, 500` | {{ result("untuned", "longer_validation@10") | pm(percent=true) }} | {{ result("untuned",
# "longer@10") | pm(percent=true) }} |
# | `0.01, 250` | {{ result("untuned", "tuned_validation@10") | pm(percent=true) }} | {{ result("untuned",
# "tuned@10") | pm(percent=true) }} |
# | `0.03, 250` | {{ result("untuned", "high_validation@10") | pm(percent=true) }} | {{ result("untuned",
# "high@10") | pm(percent=true) }} |
# | CPC | | {{ result("label_curve", "cpc@10") | pm(percent=true) }} |
#
# The first is the worst, {{ every_seed("untuned@10 < middle@10, untuned@10 < longer@10, untuned@10 < tuned@10,
# untuned@10 < high@10", "untuned") }}. Against it, CPC seems to gain more than twice as much. For the validation speakers
# the third and the fourth are equally good, so we took the shorter one. CPC's own rate was not searched.
#
# The choice of negatives can go wrong too. They could come from the other recordings, as in unit 05. The
# candidates for frame $t$ are then the codes of the same frame in all 64 recordings. Noise and hum differ between
# recordings, so they may give the own code away.

# %% tags=["train"]
check.needs("pool_in_time", "CPC", "info_nce_loss")


def next_among_others(model, waves):
    pairs = [(p.transpose(0, 1), z.transpose(0, 1)) for p, z in model.pairs(waves)]
    return torch.stack([info_nce_loss(p, z) for p, z in pairs]).mean()


other, _ = pretrained(next_among_others, "negatives from others")
with torch.no_grad():
    pairs = other.pairs(test.waves[:64].to(device))
    found = [F.normalize(p, dim=-1).transpose(0, 1) for p, _ in pairs]
    codes = [F.normalize(z, dim=-1).permute(1, 2, 0) for _, z in pairs]
    best = torch.cat([(p @ z).argmax(dim=2) for p, z in zip(found, codes)])
right = float((best == torch.arange(64, device=device)).float().mean())
worse = accuracy(fine_tuned(other, "fine-tuning"), test.labels)
print(f"own code found among 64: {right:.1%}; after fine-tuning: {worse:.1%}")

# %% [markdown]
# | recorded, 600 steps each | same recording | other recordings |
# |---|---:|---:|
# | own code found, among about 36 and 64 | {{ result("negatives", "guessed_same") | pm(percent=true) }} | {{
# result("negatives", "guessed_others") | pm(percent=true) }} |
# | fine-tuned, ten labels per word | {{ result("negatives", "finetuned_same@10") | pm(percent=true) }} | {{
# result("negatives", "finetuned_others@10") | pm(percent=true) }} |
#
# With negatives from other recordings the own code is found more often, {{ every_seed("guessed_others > guessed_same",
# "negatives") }}, and fine-tuning ends lower, {{ every_seed("finetuned_others@10 < finetuned_same@10", "negatives") }}.
# So the easier question taught less.

# %% [markdown] nbgrader={"grade_id": "machine_sounds", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A factory wants to hear which of eight parts of a machine is worn out. There are 5,000
# hours of recordings from 30 machines, each with a microphone of its own, and 20 labeled recordings per part. A
# colleague pretrains with CPC, with negatives from other machines. The right code is found among 256 candidates in 92
# percent of the cases. Fine-tuned, the network is right in 81 percent of test recordings drawn at random. From scratch
# it reaches 55 percent with one learning rate that was not changed. In four to six sentences, say (a) why 92 percent
# may mean that little was learned, and which negatives you would take, (b) what is wrong with the test, and how to
# split, and (c) what has to be done with the baseline, and which second one you would ask for.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* Each microphone and room has its own noise, so a candidate from another machine can be told apart
# by its noise alone, without any knowledge of the parts. I would take negatives from other moments of the same
# recording, where the noise is the same. Recordings of one machine are on both sides of the test, so the network may
# recognize the machine and not the part. The split should be by machine. The baseline needs the same care as the
# method, so several learning rates and numbers of steps should be compared on machines held out for validation. I
# would also ask for a logistic regression on log-mel features, since it takes seconds.
#
# *Sample answer (2).* The negatives come from other machines and can be recognized by the noise, so one should take
# them from the same recording. The baseline has to be tuned. The accuracy should be measured on more data.
#
# *Sample answer (1).* One should split by machine.
#
# *Rubric.* One point each. (a) says that noise or microphone tells machines apart AND takes negatives from the same
# recording. (b) says that recordings of a machine are on both sides AND splits by machine. (c) asks for a tuned
# baseline AND names another one, such as log-mel features with a linear classifier. "More data" alone earns no point
# for (b).
# ### END SOLUTION

# %% [markdown]
# ## 7. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Why are the codes several frames ahead predicted, and not only the next one?</summary> The next
# frame is mostly the same sound, so copying is enough. Farther ahead another sound may have begun.</details>
#
# <details><summary>2. The loss of InfoNCE cannot fall far below a certain value, even for a perfect network of this
# kind. Why?</summary> Frames inside a vowel are nearly alike, so the own one cannot be told from its
# neighbors.</details>
#
# <details><summary>3. Would a network that reads in both directions be better for the pretext task?</summary> It would
# see the answer, because it has read the frame that it should predict.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - For new speakers with ten labels per word, fine-tuned CPC is right in {{ result("label_curve", "cpc@10").mean | pct
#   }} of the recordings, and the same network from scratch in {{ result("label_curve", "scratch@10").mean | pct }}.
# - Predicting which moment comes next needs no labels, and it needs knowledge of sounds and of their order.
# - The negatives decide what is learned. What is the same in all candidates cannot help, and what differs will be used.
# - A log-mel spectrogram is loudness by time and band, and a mean over a few parts keeps the order of the sounds.
# - Tune a baseline with the same care as the method, and split by speaker if new speakers will come.

# %% [markdown]
# ## What became of it
#
# **wav2vec** (2019) used CPC's loss on real speech. Its second version, `wav2vec 2.0` (2020), hides parts of a
# recording from a transformer and asks which of several quantized codes belongs there, again with negatives from the
# same recording. **HuBERT** (2021) predicts cluster numbers of hidden frames instead, which needs no negatives.
# Fine-tuned, both recognize speech well from ten minutes to a hundred hours of labeled recordings. **Whisper** (2022)
# went the other way: it was trained with the transcripts that 680,000 hours of recordings on the internet happen to
# have.
#
# The same recipe reads heartbeats and brain waves in **medicine** and listens for faults in **machines**. InfoNCE also
# trains models that match images and captions, as in CLIP.

# %% [markdown]
# **Further reading.**
#
# - van den Oord et al. (2018), *Representation Learning with Contrastive Predictive Coding*: this unit's method, on
#   speech, images, text and reinforcement learning, and an ablation of the negatives.
# - Baevski et al. (2020), *A Framework for Self-Supervised Learning of Speech Representations*: `wav2vec 2.0`, with
#   results from ten minutes of labels on.
# - Rivière et al. (2020), *Unsupervised Pretraining Transfers Well Across Languages*: a modified CPC, judged by
#   phonemes in other languages.
#
# **Challenge.** Beat {{ result("label_curve", "cpc@10").mean | pct }} for new speakers with ten labels per word and the
# same unlabeled recordings. You may change the network, the loss and the training.
#
# **Bonus.** (1) Predict 12 frames ahead. (2) Pool in one part instead of four. Which words are then confused? (3)
# Record a few words of your own and your friends' as 16-bit mono WAV files in `FOLDER/<speaker>/<word>/`, and use them.
#
# ```python
# from course_lib.data.wav_files import load_wavs
#
# own = load_wavs("FOLDER")  # resampled to 4,000 samples per second, 0.64 s each
# train, test = own.subset(own.speakers > 0), own.subset(own.speakers == 0)
# ```

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
# *A pretrained network is large, and you have ten labels per class. How many of its weights have to be trained? And can
# captions take the place of labels altogether?*
#
# **You will** train biases alone, write a low-rank update and a bottleneck adapter, put them into a transformer, write
# the loss that joins images and captions, and classify by prompts. **You will measure** what each reaches with how few
# weights, and how zero-shot accuracy depends on the captions.
#
# **You need** the transformer encoder (unit 09), frozen features (unit 06), contrastive losses (unit 05) and matrix
# products ([chapter 2 of the Deep Learning book](https://www.deeplearningbook.org/contents/linear_algebra.html)).
#
# **Time**: about 2 to 2.5 hours in two sittings, with a natural break after section 4. The computer needs about 3
# minutes of this time. *Recorded* numbers are mean ± standard deviation over three seeds. `COURSE_DATASET` is ignored.

# %% [markdown]
# **Warm up** with two questions from earlier units.
#
# <details><summary>1. (Unit 06) Why is it not enough to call `model.eval()` in order to freeze a network?</summary>
# Eval mode is about dropout and batch statistics. Weights learn as long as they require a gradient.</details>
#
# <details><summary>2. (Unit 05) In a contrastive loss, where do the negatives come from?</summary>
# From the other entries of the batch. So a larger batch makes the task harder.</details>

# %% tags=["setup"]
import copy
import math

import torch
from IPython.display import Markdown
from torch import nn
from torch.nn import functional as F

from course_lib import plots, records, settings, text_protocol, widgets
from course_lib.data import Batches, captions, load
from course_lib.data.text import Vocabulary
from course_lib.evaluation import accuracy, confusion, predict as outputs
from course_lib.exercises import checks_for, predictions_for
from course_lib.models import TwoTowers, count_parameters, predict_texts
from course_lib.training import fit, fit_text_classifier

# %% tags=["setup"]
unit = "11_beyond_one_model"
check = checks_for(unit)
predict = predictions_for("11a_adapters")
rng = torch.Generator().manual_seed(0)

def mean_of_words(features, ids):  # (N, T, d) -> (N, d), padding left out
    there = (ids != 0)[..., None].to(features.dtype)
    return (features * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)

# %% [markdown]
# ## 1. A pretrained encoder and 80 labels
#
# The task is that of unit 09: which of eight libraries does a docstring come from? The texts are split by file. The
# encoder begins with counted embeddings and has then learned from masked words. The next cell does both again, which
# takes about half a minute, and no label is used.
#
# The baseline is the frozen encoder with a new head, a linear layer for the eight classes.

# %% tags=["demo"]
data = text_protocol.text_setting(seed=0)
encoder = text_protocol.pretrained_encoder(seed=0)
few = data.few(10)  # word numbers (80, 32), and labels
reached, trained = {}, {}

def tuned(start, method, lr):
    how = {"steps": settings.by_profile(smoke=3, laptop=150, full=600), "label": method}
    model = fit_text_classifier(start, mean_of_words, *few, lr=lr, **how)
    trained[method] = count_parameters(model, trainable=True)
    reached[method] = accuracy(predict_texts(model, data.test_ids), data.test.labels)
    print(f"{method}: {trained[method]:,} weights trained, {reached[method]:.1%}")
    return model

head_only = tuned(copy.deepcopy(encoder).requires_grad_(False), "head", lr=1e-2)

# %% [markdown]
# Full fine-tuning changes all weights and needs a copy of the whole network for every task. The smallest step away from
# the frozen encoder is to train its *biases* as well (BitFit, Ben Zaken et al. 2022). A bias shifts the input of a
# unit, so it decides how easily the unit becomes active.
#
# ### Exercise 11.1: trainable_biases (warm-up, 12 minutes)
#
# The check tries convolutions, normalizations, attention and recurrent layers, modules of its own with misleading
# names, a bias that two layers share, and networks that come frozen.

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
# **Predict** the test accuracy with biases and head alone. There are eight classes, so guessing has 1/8.

# %% tags=["predict"]
predict.biases(...)  # between 0 and 1

# %% tags=["train"]
check.needs("trainable_biases")
with_biases = copy.deepcopy(encoder).requires_grad_(False)
trainable_biases(with_biases.layers.blocks)
tuned(with_biases, "biases", lr=1e-2)
tuned(copy.deepcopy(encoder), "full", lr=1e-3)
predict.biases.compare(reached["biases"])

# %% [markdown]
# Biases and head are less than one percent of the weights. One seed shows little about the accuracies, so the recorded
# numbers follow in section 3.
#
# ## 2. Updates of low rank
#
# How can the weight matrices themselves be changed with few numbers? *LoRA* (Hu et al. 2022) keeps the weight $W$ of a
# linear layer and adds a product of two thin matrices:
#
# $$y = W x + \mathrm{bias} + \frac{\alpha}{r}\, B A x, \qquad A \in \mathbb{R}^{r \times \mathrm{in}}, \quad B \in
# \mathbb{R}^{\mathrm{out} \times r}$$
#
# With a *rank* $r$ of 4, a layer from 64 to 192 features needs 1,024 numbers instead of 12,288. The factor $\alpha / r$
# keeps the size of the steps similar when the rank changes.

# %% tags=["demo"]
plots.show(plots.diagram_adapters())

# %% [markdown]
# At the start $B = 0$, so the network is the pretrained one. After training $W + \frac{\alpha}{r} B A$ is one matrix
# again. So the layer can be *merged*, and then it is as fast as before.
#
# ### Exercise 11.2: LoRALinear (hard, 30 minutes)
#
# The check puts values of its own into `a` and `b` and looks at what is trained. **The number to reach** comes in
# section 3: an accuracy above {{ result("text", "head@10").mean | pct }}, that of the frozen encoder.
#
# - `__init__(linear, rank, *, alpha=8.0, generator)` keeps the given layer as `self.linear` and freezes it. `self.a` is
#   a parameter `(rank, in)`, normal with the standard deviation $1 / \sqrt{\mathrm{in}}$, drawn from the CPU generator.
#   `self.b` is a parameter `(out, rank)` of zeros. Both have the weight's dtype.
# - `forward(x)` takes `(..., in)` and returns `(..., out)`.
# - `merged()` returns a new `nn.Linear` that computes the same. The layer itself stays as it is.

# %% nbgrader={"grade_id": "LoRALinear", "solution": true}
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, *, alpha=8.0, generator):
        super().__init__()
        ### BEGIN SOLUTION
        self.linear = linear.requires_grad_(False)
        a = torch.randn(rank, linear.in_features, generator=generator)
        self.a = nn.Parameter((a / math.sqrt(linear.in_features)).to(linear.weight))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank).to(linear.weight))
        self.scale = alpha / rank
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.linear(x) + self.scale * F.linear(F.linear(x, self.a), self.b)
        ### END SOLUTION

    def merged(self):
        ### BEGIN SOLUTION
        w = self.linear.weight
        result = nn.Linear(w.shape[1], w.shape[0], self.linear.bias is not None).to(w)
        with torch.no_grad():
            result.weight.copy_(w + self.scale * self.b @ self.a)
            if result.bias is not None:
                result.bias.copy_(self.linear.bias)
        return result
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_LoRALinear", "grade": true}
check.LoRALinear(LoRALinear)

# %% [markdown]
# The layers of a network are not written with adapters in mind. They have to be put in from outside.
#
# ### Exercise 11.3: add_adapters (core, 15 minutes)
#
# `make(layer)` is a function that returns a module in place of a linear layer, for example `lambda layer:
# LoRALinear(layer, 4, generator=rng)`. A layer of a class that inherits from `nn.Linear` counts as one. The same layer
# may stand at two places of a model. It then gets one adapter, at both places. The model itself is never a linear
# layer.

# %% nbgrader={"grade_id": "add_adapters", "solution": true}
def add_adapters(model, make):
    """Freezes a model and replaces its linear layers, at every depth, in place.

    Args:
        model: an nn.Module.
        make: called once with each linear layer; what it returns takes the layer's
            place, and its new parameters are trainable.

    Returns:
        The number of adapters.
    """
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    made = {}
    for name, layer in list(model.named_modules(remove_duplicate=False)):
        if isinstance(layer, nn.Linear):
            parent, _, own = name.rpartition(".")
            if layer not in made:
                made[layer] = make(layer)
            setattr(model.get_submodule(parent), own, made[layer])
    return len(made)
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_add_adapters", "grade": true}
check.add_adapters(add_adapters)

# %% [markdown]
# An older kind of adapter is a small network behind a layer, with a residual around it (Houlsby et al. 2019). The
# diagram above shows it below. It is not linear and cannot be merged.
#
# ### Exercise 11.4: BottleneckAdapter (core, 12 minutes)
#
# `down` and `up` are linear layers with a bias, from `dim` to `width` and back, with a ReLU between them. `down` keeps
# torch's first weights, and `up` begins with zeros in weight and bias. `forward(x)` takes `(..., dim)` and adds the
# result to `x`.

# %% nbgrader={"grade_id": "BottleneckAdapter", "solution": true}
class BottleneckAdapter(nn.Module):
    def __init__(self, dim, width):
        super().__init__()
        ### BEGIN SOLUTION
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return x + self.up(F.relu(self.down(x)))
        ### END SOLUTION

# %% nbgrader={"grade_id": "check_BottleneckAdapter", "grade": true}
check.BottleneckAdapter(BottleneckAdapter)

# %% [markdown]
# ## 3. Five ways to train the same network
#
# Low-rank adapters go into all eight linear layers of the two blocks, and bottlenecks behind four of them.
# **Predict** how probable it is that low-rank adapters are better than full fine-tuning, on average over the recorded
# seeds.

# %% tags=["predict"]
predict.lora(...)  # a probability

# %% tags=["train"]
check.needs("LoRALinear", "add_adapters", "BottleneckAdapter")

def low_rank(layer):
    return LoRALinear(layer, 4, generator=rng)

def followed(layer):  # behind attention and behind the small network, as in the paper
    if layer.out_features != 64:
        return layer
    return nn.Sequential(layer, BottleneckAdapter(64, 16))

for method, make in {"lora": low_rank, "bottleneck": followed}.items():
    adapted = copy.deepcopy(encoder).requires_grad_(False)
    print(add_adapters(adapted.layers.blocks, make), "linear layers found")
    model = tuned(adapted, method, lr=3e-3)
    if method == "lora":
        one = model.encoder.encoder.layers.blocks[0]["qkv"]
        x = torch.randn(5, 64, generator=rng).to(one.a)
        print(f"merging changes {(one.merged()(x) - one(x)).abs().max():.0e} at most")
predict.lora.compare()
names = ("head", "biases", "lora", "bottleneck", "full")
recorded = {name: records.figure(unit, "text", f"{name}@10") for name in names}
title = "Docstrings, ten labels per class, recorded"
plots.show(plots.bar_with_seeds(recorded, baseline=1 / 8, title=title))

# %% [markdown]
# | ten labels per class | trained weights | accuracy | CPU seconds |
# |---|---:|---:|---:|
# | head only | {{ result("text", "head_weights").mean | num(0) }} | {{ result("text", "head@10") |
# pm(percent=true) }} | {{ result("text", "head_seconds").mean | num(1) }} |
# | biases only | {{ result("text", "biases_weights").mean | num(0) }} | {{ result("text", "biases@10") |
# pm(percent=true) }} | {{ result("text", "biases_seconds").mean | num(1) }} |
# | low-rank adapters, rank 1 | {{ result("text", "lora1_weights").mean | num(0) }} | {{ result("text", "lora1@10") |
# pm(percent=true) }} | {{ result("text", "lora1_seconds").mean | num(1) }} |
# | low-rank adapters, rank 4 | {{ result("text", "lora_weights").mean | num(0) }} | {{ result("text", "lora@10") |
# pm(percent=true) }} | {{ result("text", "lora_seconds").mean | num(1) }} |
# | bottleneck adapters | {{ result("text", "bottleneck_weights").mean | num(0) }} | {{ result("text",
# "bottleneck@10") | pm(percent=true) }} | {{ result("text", "bottleneck_seconds").mean | num(1) }} |
# | all weights | {{ result("text", "full_weights").mean | num(0) }} | {{ result("text", "full@10") |
# pm(percent=true) }} | {{ result("text", "full_seconds").mean | num(1) }} |
#
# With ten labels per class all weights are the best, {{ every_seed("full@10 > lora@10, full@10 > biases@10, full@10 >
# bottleneck@10, full@10 > head@10", "text") }}. Biases and adapters reach what the head alone reaches, and rank 1 is
# worse than the head {{ every_seed("head@10 > lora1@10", "text") }}. So in this setting few weights do not replace full
# fine-tuning. A possible reason is that it changes the embeddings too.

# %% [markdown]
# With 50 labels per class low-rank adapters are better than the head, {{ every_seed("lora@50 > head@50", "text") }}.
# Training all weights is still the best, {{ every_seed("full@50 > lora@50, full@50 > biases@50, full@50 > head@50",
# "text") }}. Adapters save memory per task, but no time here, because gradients still flow through the whole network.
# Merging changes the output by rounding errors alone.

# %% [markdown]
# Is it the same with images? The next table has the rotation encoder of unit 04 and ten glyphs per class. Low-rank
# adapters stand beside all convolutions, and bottlenecks behind all blocks.
#
# {{ figures_table({"head only": "head", "biases only": "biases", "low-rank adapters, rank 4": "lora", "bottleneck
# adapters": "bottleneck", "all weights": "full"}, (10, 50), "images", head="recorded, labels per class") }}
#
# Both adapters are better than the head, {{ every_seed("lora@10 > head@10, bottleneck@10 > head@10, lora@50 > head@50,
# bottleneck@50 > head@50", "images") }}. With ten labels per class all weights are better than they are even from
# random ones ({{ result("images", "random_full@10") | pm(percent=true) }}), {{ every_seed("random_full@10 > lora@10,
# random_full@10 > bottleneck@10", "images") }}. This encoder is so small that there is no need to save weights.
#
# ## 4. When it fails: nothing to adapt
#
# An adapter changes features that are there already. **Predict** the accuracy of low-rank adapters on an encoder with
# random weights.

# %% tags=["predict"]
predict.random(...)  # between 0 and 1

# %% tags=["train"]
check.needs("LoRALinear", "add_adapters", "BottleneckAdapter")
unlearned = data.first_weights()
tuned(copy.deepcopy(unlearned), "full, random", lr=5e-3)
unlearned.requires_grad_(False)
add_adapters(unlearned.layers.blocks, low_rank)
tuned(unlearned, "lora, random", lr=3e-3)
predict.random.compare(reached["lora, random"])

# %% [markdown]
# {{ figures_table({"low-rank adapters, pretrained": "lora", "low-rank adapters, random weights": "random_lora", "biases
# only, random weights": "random_biases", "head only, random weights": "random_head", "all weights, from random ones":
# "random_full"}, (10,), "text") }}
#
# Low-rank adapters on random weights are hardly better than a head on random weights. Training all weights from random
# ones is better {{ every_seed("random_full@10 > random_lora@10, random_full@10 > random_biases@10", "text") }}, but far
# below the pretrained encoder. So an adapter needs features that are worth adapting. Look at the head alone first,
# because it shows what these are worth.
#
# *A natural break.*
#
# ## 5. Images with captions
#
# Labels are expensive, but many images come with a text. *CLIP* (Radford et al. 2021) learns from such pairs. Here the
# captions are made from the known factors of each glyph. A class has up to three names, and size, brightness and place
# are mentioned in some captions only.

# %% tags=["demo"]
few_images = settings.by_profile(smoke=600, laptop=4_000, full=4_000)
glyphs = load("glyphs", n=few_images)
unseen = load("glyphs", split="test", n=few_images // 2)
texts = captions.describe(glyphs, generator=rng)
lines = [" ".join(words) for words in texts[:8]]
plots.show(plots.image_grid(glyphs.images[:8], captions=lines, columns=4))

# %% [markdown]
# Two networks, the *towers*, turn images and captions into vectors $u_n$ and $v_n$ of the same length. In a batch of
# $N$ pairs, each image has to find its own caption among all captions, and each caption its own image:
#
# $$\ell = \frac{1}{2N} \sum_{n} \Big( -\log \frac{e^{s \cos(u_n, v_n)}}{\sum_m e^{s \cos(u_n, v_m)}} -\log \frac{e^{s
# \cos(u_n, v_n)}}{\sum_m e^{s \cos(u_m, v_n)}} \Big)$$
#
# The scale $s$ is 1 / temperature. It is learned as its logarithm, so that it stays positive, and it is limited, so
# that training stays stable.

# %% tags=["demo"]
plots.show(plots.diagram_two_towers())

# %% [markdown]
# ### Exercise 11.5: clip_loss (core, 15 minutes)
#
# The check tries vectors of very different lengths, a single pair, scales beyond the limit and other limits, and the
# gradients of both towers and of the scale.

# %% nbgrader={"grade_id": "clip_loss", "solution": true}
def clip_loss(image_features, text_features, log_scale, *, largest=100.0):
    """The mean of two cross-entropies: of images among captions, and the other way.

    Args:
        image_features, text_features: (N, d) float tensors of any length; row n of
            both belongs together.
        log_scale: a tensor with one number, the logarithm of the scale; it is learned.
        largest: the scale is at most this.

    Returns:
        A tensor with a single number.
    """
    ### BEGIN SOLUTION
    i, t = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1)
    logits = log_scale.exp().clamp(max=largest) * i @ t.T  # (N, N)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_clip_loss", "grade": true}
check.clip_loss(clip_loss)

# %% [markdown]
# The image tower is the course's encoder and a linear layer. The caption tower takes the mean of word embeddings and a
# small network, so it does not know the order of the words. Training takes half a minute.

# %% tags=["train"]
check.needs("clip_loss")

def trained_on(texts, label):
    vocabulary = Vocabulary(texts, size=200)
    ids = vocabulary.encode(texts, length=captions.LONGEST)
    model = TwoTowers(len(vocabulary))
    batches = Batches(glyphs.images, ids, batch_size=128, shuffle=True, drop_last=True)
    count = settings.by_profile(smoke=3, laptop=600, full=2_400)
    how = {"steps": count, "warmup": min(50, count - 1), "weight_decay": 1e-3}

    def loss(model, batch):
        return clip_loss(*model(*batch), model.log_scale)

    fit(model, batches, loss, lr=3e-3, label=label, **how)

    def encode(prompts):
        split = [prompt.split() for prompt in prompts]
        return predict_texts(model.captions, vocabulary.encode(split, length=11))

    return outputs(model.images, unseen.images), encode

vectors, encode = trained_on(texts, "all captions name the class")

# %% [markdown]
# No label was used. In order to classify, each class becomes a *prompt* such as "a boat", and the prompt with the
# highest cosine is the prediction. This is *zero-shot* classification. Several prompts per class make an *ensemble*.
# The vector of each prompt gets the length 1, and the mean of these vectors gets the length 1 again.
#
# ### Exercise 11.6: zero_shot (core, 15 minutes)
#
# The check tries classes with different numbers of prompts, vectors of very different lengths, and a single image.

# %% nbgrader={"grade_id": "zero_shot", "solution": true}
def zero_shot(image_features, encode, prompts):
    """The cosine of each image with each class.

    Args:
        image_features: (N, d) float tensor, of any length.
        encode: encode(list of M strings) -> (M, d) float tensor, of any length.
        prompts: a list of K lists of strings, the prompts of each class.

    Returns:
        (N, K) float tensor, between -1 and 1.
    """
    ### BEGIN SOLUTION
    classes = []
    for several in prompts:
        each = F.normalize(encode(several), dim=1)  # (M, d)
        classes.append(F.normalize(each.mean(dim=0), dim=0))
    return F.normalize(image_features, dim=1) @ torch.stack(classes).T
    ### END SOLUTION

# %% nbgrader={"grade_id": "check_zero_shot", "grade": true}
check.zero_shot(zero_shot)

# %% [markdown]
# **Predict** the accuracy on test images with the prompt "a" and the name of the class. Guessing has 1/10.

# %% tags=["predict"]
predict.zero_shot(...)  # between 0 and 1

# %% tags=["demo"]
check.needs("clip_loss", "zero_shot")
single = [[f"a {name}"] for name in unseen.class_names]
ensemble = [captions.prompts_for(name) for name in unseen.class_names]

def without_labels(vectors, encode):
    scores = [zero_shot(vectors, encode, prompts) for prompts in (single, ensemble)]
    found = [accuracy(score, unseen.labels) for score in scores]
    print("one prompt {:.1%}, ensemble {:.1%}".format(*found))
    return found[0], scores[1]

one, scores = without_labels(vectors, encode)
predict.zero_shot.compare(one)

# %% [markdown]
# The widget puts a prompt together and shows the nearest test images. Try a name that captions use, "thing", and a
# place.

# %% tags=["demo"]
check.needs("clip_loss", "zero_shot")
choices = {
    "quality": ("", *captions.QUALITIES),
    "name": ("mug", "parasol", "thing", *unseen.class_names),
    "place": ("", "at the left", "at the right", "at the top", "at the bottom"),
}
widgets.prompt_explorer(
    unseen.images, lambda prompt: zero_shot(vectors, encode, [[prompt]])[:, 0], choices
)

# %% [markdown]
# A prompt such as "a mug" finds cups, although no image was ever labeled. A place works too, because many captions
# mention it. With "thing", which no caption has said so far, the images are arbitrary.
#
# ## 6. What captions do not say
#
# Most captions on the web do not name the object. Now only a tenth of them name the class, and all others speak of a
# "thing". **Predict** the zero-shot accuracy with one prompt.

# %% tags=["predict"]
predict.tenth(...)  # between 0 and 1

# %% tags=["train"]
check.needs("clip_loss", "zero_shot")
rare = captions.describe(glyphs, generator=rng, named=0.1)
one, scores = without_labels(*trained_on(rare, "a tenth name the class"))
predict.tenth.compare(one)
table = confusion(scores, unseen.labels)
title = "A tenth of the captions name the class"
plots.show(plots.confusion_matrix(table, unseen.class_names, title=title))

# %% [markdown]
# | recorded, test images | one prompt | ensemble | left or right | probe, ten labels |
# |---|---:|---:|---:|---:|
# | all captions name the class | {{ result("captions", "single_all") | pm(percent=true) }} | {{ result("captions",
# "ensemble_all") | pm(percent=true) }} | {{ result("captions", "sides_all") | pm(percent=true) }} | {{
# result("captions", "probe_all@10") | pm(percent=true) }} |
# | 30 percent do | {{ result("captions", "single_third") | pm(percent=true) }} | {{ result("captions",
# "ensemble_third") | pm(percent=true) }} | {{ result("captions", "sides_third") | pm(percent=true) }} | {{
# result("captions", "probe_third@10") | pm(percent=true) }} |
# | a tenth do | {{ result("captions", "single_tenth") | pm(percent=true) }} | {{ result("captions",
# "ensemble_tenth") | pm(percent=true) }} | {{ result("captions", "sides_tenth") | pm(percent=true) }} | {{
# result("captions", "probe_tenth@10") | pm(percent=true) }} |
# | all do, 40 percent exchanged | {{ result("captions", "single_exchanged") | pm(percent=true) }} | {{
# result("captions", "ensemble_exchanged") | pm(percent=true) }} | {{ result("captions", "sides_exchanged") |
# pm(percent=true) }} | {{ result("captions", "probe_exchanged@10") | pm(percent=true) }} |
#
# The *probe* is a logistic regression on the features of the image tower. With a tenth of the names, zero-shot accuracy
# falls by more than half, and ten labels per class are better {{ every_seed("probe_tenth@10 > ensemble_tenth",
# "captions") }}. Left and right are known as before.
#
# The last row hands 40 percent around. An ensemble of prompts repairs a part of this, and is
# better than one prompt {{ every_seed("ensemble_exchanged > single_exchanged, ensemble_tenth > single_tenth,
# ensemble_all > single_all", "captions") }}.

# %% [markdown]
# What about a class that is *never* named? In another run no caption says "fish", and a fifth of the others name no
# class either.
#
# | recorded, test images | |
# |---|---:|
# | accuracy on the other nine classes | {{ result("unnamed", "named") | pm(percent=true) }} |
# | share of fish that the prompts with "fish" find | {{ result("unnamed", "recall") | pm(percent=true) }} |
# | the same with "a thing" | {{ result("unnamed", "recall_thing") | pm(percent=true) }} |
#
# The caption tower has never read "fish", so what this prompt finds is accidental and differs from seed to seed. "A
# thing" finds most fish, {{ every_seed("recall_thing > recall", "unnamed") }}, because more than a third of the things
# are fish. So images of a class without a name are found by the word that takes its place.
#
# The course's results table has no row for captions, because they are another kind of supervision than its labels.

# %% tags=["demo"]
Markdown(records.results_table(up_to=unit, columns={"glyphs": (10, 50)}))

# %% [markdown] nbgrader={"grade_id": "adapter_report", "grade": true, "solution": true, "points": 3}
# **Written answer (3 points).** A company has one pretrained text encoder and forty customers, each with a few hundred
# labeled messages. A colleague reports: "LoRA reaches 62 percent and full fine-tuning 60 percent, each trained once,
# so LoRA is better. And for new topics we need no labels at all. A model trained on images with captions classified 94
# percent of the images zero-shot in a demo." In four to six sentences, say (a) what the two accuracies show and what
# would be
# needed to show more, (b) which reason for adapters remains even if the accuracies are equal, and (c) what you would
# ask about the captions before you believe that zero-shot will work for a new topic.
#
# ### BEGIN SOLUTION
# *Sample answer (3).* A difference of two points from one run each is within the spread of seeds and of the draw of the
# labels, so it shows only that the two are similar. I would train both on several seeds with the same labels, compare
# them seed by seed, and give both the same search for a learning rate on a validation split. Even if they tie, adapters
# are worth it here: forty customers need one copy of the network and forty small files, which can be merged or
# exchanged at run time. For zero-shot I would ask how many of the captions name the topic, and with which words. With
# few captions that name it the accuracy falls far, and a topic that is never named cannot be found by its name at all.
# I would also ask whether captions belong to their images, and test on a few labeled examples of the new topic.
#
# *Sample answer (2).* One run each shows nothing, several seeds are needed. LoRA needs much less memory per customer.
# The demo may have used other data.
#
# *Sample answer (1).* LoRA is better because it has fewer weights and does not overfit.
#
# *Rubric.* One point each. (a) says that two points in one run are within noise AND asks for several seeds that are
# compared pair by pair, or for equal tuning. (b) names storage, exchange or merging of adapters for many customers.
# (c) asks how
# often, or whether, captions name the topic. "More data" alone earns no point for (c).
# ### END SOLUTION

# %% [markdown]
# ## 7. Quiz
#
# Ungraded. Answer first, then open. Your predictions are summed up below.
#
# <details><summary>1. Why does LoRA begin with B = 0 and not with A = 0 and B = 0?</summary> The gradient of A is a
# product with B, and that of B a product with A. If both are zero, both gradients are zero, and nothing is ever
# learned.</details>
#
# <details><summary>2. Two captions of a batch are the same sentence. What does the loss do?</summary> It counts one of
# them as wrong for each of the two images. The same holds in CLIP, and very large batches have many such
# pairs.</details>
#
# <details><summary>3. Why can a bottleneck adapter not be merged into the layer before it?</summary> It has a ReLU
# inside, and the layer is linear.</details>

# %% tags=["demo"]
predict.summary()

# %% [markdown]
# ## Key takeaways
#
# - On docstrings, with ten labels per class, biases and adapters reach what the head alone reaches. On glyphs adapters
#   are better than the head. In both cases training all weights is the best. What few weights save is memory per task.
# - B = 0 makes the first step safe, a random A makes it possible, and merging makes the adapted network as fast as
#   before.
# - On random weights adapters were hardly better than a head alone.
# - Captions can replace labels where they name the class. With a tenth of the names, ten labels per class are better.
# - Prompts that are averaged in direction are better than one prompt, also where captions are partly wrong.

# %% [markdown]
# ## What became of it
#
# Low-rank adapters are the usual way in which people adapt **large language models** and image generators today. One
# model in memory serves many tasks, each with a small file of its own. Variants quantize the frozen weights, so that a
# large model can be tuned on one GPU.
#
# **CLIP** and its successors are the image encoders of many language models. Their text tower steers image generators,
# and zero-shot classification made it possible to search pictures by a sentence. What they find depends on what
# captions say, so rare objects, small text and counts remain hard.
#
# In **medicine** pairs of X-ray images and reports replace labels, in **finance** adapters keep the data of customers
# apart, and in **robotics** prompts name objects that have no labels.

# %% [markdown]
# **Further reading.**
#
# - Hu et al. (2022), *Low-Rank Adaptation of Large Language Models*: the method, and a study of the rank.
# - Ben Zaken et al. (2022), *BitFit*: biases alone, on a dozen tasks.
# - Radford et al. (2021), *Learning Transferable Visual Models From Natural Language Supervision*: prompts, ensembles
#   and limits of CLIP.
#
# **Challenge.** Beat {{ result("captions", "single_tenth").mean | pct }} with the prompt "a" and the name when a tenth
# of the captions name the class. You may change the towers, the training and what you do with "thing".
#
# **Bonus.** (1) Train with rank 1. (2) Put adapters into `qkv` alone. (3) Hand 40 percent of the captions around by
# `captions.exchanged` and look at `log_scale` after training.

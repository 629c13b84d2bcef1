"""The check of a whole VAE against answers that are not written down in mistakes.md."""

from __future__ import annotations

import math

import torch
from torch import nn

from course_lib.models import eval_mode
from tests.exercises.shared import UNNAMED, variants_tested


class Whole(nn.Module):
    """A right answer; variants change a part."""

    def __init__(self, image_shape, code_dim):
        super().__init__()
        size = math.prod(image_shape)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.Dropout(0.1), nn.Tanh())
        self.mu, self.logvar = nn.Linear(64, code_dim), nn.Linear(64, code_dim)
        back = [nn.Linear(code_dim, 64), nn.Tanh(), nn.Dropout(0.2), nn.Linear(64, size)]
        self.decode = nn.Sequential(*back, nn.Unflatten(1, tuple(image_shape)))

    def encode(self, images):
        body = self.body(images)
        return self.mu(body), self.logvar(body)

    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        return self.decode(draw(mu, logvar)), mu, logvar

    def sample(self, count, *, generator):
        with eval_mode(self), torch.no_grad():
            z = torch.randn(count, self.mu.out_features, generator=generator)
            return self.decode(z.to(self.mu.weight)).sigmoid()


class DrawsTwice(Whole):
    def forward(self, images, draw):
        logits = self.decode(draw(*self.encode(images)))
        return logits, *self.encode(images), draw(*self.encode(images))


class WithoutEvalMode(Whole):
    @torch.no_grad()
    def sample(self, count, *, generator):
        z = torch.randn(count, self.mu.out_features, generator=generator)
        return self.decode(z.to(self.mu.weight)).sigmoid()


class OfTheGlobalGenerator(Whole):
    def sample(self, count, *, generator):
        with eval_mode(self), torch.no_grad():
            return self.decode(torch.randn(count, self.mu.out_features).to(self.mu.weight)).sigmoid()


class AlwaysBackToTrain(Whole):
    @torch.no_grad()
    def sample(self, count, *, generator):
        self.eval()
        images = self.decode(torch.randn(count, self.mu.out_features, generator=generator).to(self.mu.weight))
        self.train()
        return images.sigmoid()


class DrawnPixels(Whole):
    def sample(self, count, *, generator):
        return torch.bernoulli(super().sample(count, generator=generator), generator=generator)


class Skips(Whole):
    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        return self.decode(draw(mu, logvar)) + 0.1 * images, mu, logvar


class Detached(Whole):
    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        with torch.no_grad():
            z = draw(mu, logvar)
        return self.decode(z), mu, logvar


class DecodesTheMean(Whole):
    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        return self.decode(mu), mu, logvar


class IgnoresTheCode(Whole):
    def forward(self, images, draw):
        mu, logvar = self.encode(images)
        return self.decode(0 * draw(mu, logvar)), mu, logvar


class DeviationReturned(Whole):
    def encode(self, images):
        mu, logvar = super().encode(images)
        return mu, torch.exp(0.5 * logvar)


class HiddenLayers(Whole):
    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, code_dim)
        self.hidden = [self.body]
        del self.body

    def encode(self, images):
        body = self.hidden[0](images)
        return self.mu(body), self.logvar(body)


class SigmoidInDecode(Whole):
    def __init__(self, image_shape, code_dim):
        super().__init__(image_shape, code_dim)
        self.decode.append(nn.Sigmoid())

    def sample(self, count, *, generator):
        with eval_mode(self), torch.no_grad():
            return self.decode(torch.randn(count, self.mu.out_features, generator=generator).to(self.mu.weight))


CASES = [
    (Whole, None),
    (DrawsTwice, "not_three"),
    (WithoutEvalMode, "sampled_in_train_mode"),
    (OfTheGlobalGenerator, "generator_ignored"),
    (AlwaysBackToTrain, UNNAMED),
    (DrawnPixels, "logits_sampled"),
    (Skips, "skips_the_code"),
    (Detached, "no_way_back"),
    (DecodesTheMean, "never_drawn"),
    (IgnoresTheCode, "skips_the_code"),
    (DeviationReturned, "never_negative"),
    (HiddenLayers, "plain_list"),
    (SigmoidInDecode, "squashed_logits"),
]


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(
    [("VAE", answer, mistake) for answer, mistake in CASES], seeds=(1, 20261121)
)

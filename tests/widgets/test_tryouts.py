"""The tryout explorer shows what a classifier returns for the image as it is shown."""

from __future__ import annotations

import pytest
import torch
from drawing import assert_redrawn

from course_lib import widgets


def explorer(seen=None):
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def classify(batch):
        if seen is not None:
            seen.append(batch)
        return torch.stack(
            [batch.float().mean(dim=(1, 2, 3)) / 255, 1 - batch.float().mean(dim=(1, 2, 3)) / 255], dim=1
        )

    return widgets.tryout_explorer(images, classify, class_names=("bright", "dark"), title="Tried"), images


@pytest.mark.parametrize(("control", "value"), [("image", 2), ("turned", 45), ("brightness", 0.2), ("inverted", True)])
def test_moving_a_control_redraws_the_picture_and_its_words(control, value):
    assert_redrawn(explorer()[0], control, value)


def test_the_classifier_gets_the_image_as_it_is_shown():
    seen = []
    view, images = explorer(seen)
    assert seen[-1].dtype == torch.uint8 and torch.equal(seen[-1], (255 * images[:1]).round().to(torch.uint8))
    view.controls["inverted"].value = True
    assert torch.equal(seen[-1], (255 * (1 - images[:1])).round().to(torch.uint8))
    view.controls["inverted"].value = False
    view.controls["turned"].value = 90
    assert (seen[-1].float() / 255 - torch.rot90(images[:1], 1, (2, 3))).abs().max() < 0.01
    view.controls["brightness"].value = 0.1
    assert seen[-1].max() <= 26 and "brightness 0.1" in view.alt_text and "turned by 90 degrees" in view.alt_text
    widths = [bar.get_width() for bar in view.figure.axes[1].patches]
    assert sum(widths) == pytest.approx(1.0) and widths[0] < 0.1


def test_without_images_it_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        widgets.tryout_explorer(torch.rand(0, 1, 8, 8), lambda x: x, class_names=())

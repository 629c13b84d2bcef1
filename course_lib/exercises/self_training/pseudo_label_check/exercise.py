"""`pseudo_label_check`: what learners see. Their check is tried on right and wrong answers of `pseudo_label`."""

from __future__ import annotations

from course_lib.exercises.contract import Hints
from course_lib.exercises.trying_checks import writes_check

exercise = writes_check(
    of="pseudo_label",
    name="pseudo_label_check",
    title="A check that tells right pseudo-labels from wrong ones",
    signature="pseudo_label_check(candidate)",
    minutes=20,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Build a small model whose predictions depend on the mode, and compute what is expected yourself, in eval "
            "mode. Then ask what a caller relies on afterwards: the mode of each module, parameters that can still be "
            "trained, and gradients that are recorded again. Call the candidate on a model in train mode with one "
            "module in eval mode, and on a model in eval mode."
        ),
        api=(
            "`nn.Dropout`, `model.modules()`, `module.training`, `parameter.requires_grad`, `torch.is_grad_enabled()`, "
            "`torch.equal`, `torch.allclose`"
        ),
        skeleton=(
            "model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Dropout(0.5))\n"
            "images = torch.rand(..., 1, 4, 4)  # more than one batch\n"
            "with torch.no_grad():\n    expected = model.eval()(images).softmax(dim=1)\n"
            "model.train()\nmodel[2]...  # one module is in eval mode already\n"
            "modes = [module.training for module in model.modules()]\n"
            "labels, confidences = candidate(model, images)\n"
            "assert labels.dtype == ... and torch.equal(labels, ...)\n"
            "assert torch.allclose(confidences, ..., atol=1e-5) and not confidences....\n"
            "assert [module.training for module in model.modules()] == ...\n"
            "assert torch.is_grad_enabled() and all(... for p in model.parameters())"
        ),
    ),
    takeaway=(
        "A function has a result and side effects. A check looks at both: what comes back, and what the caller finds "
        "changed afterwards."
    ),
    library=("course_lib.evaluation.predict",),
)

"""The diagram of federated averaging, with the parts of diagram_parts.py."""

from __future__ import annotations

from course_lib.plots.diagram_parts import Diagram
from course_lib.plots.figure import Figure
from course_lib.plots.style import method_style, styled


@styled
def diagram_federated(*, title: str | None = None, alt: str | None = None) -> Figure:
    """A round of federated averaging: what goes out to the clients, what comes back, and what stays."""
    d, color = Diagram(9.4, 4.2), method_style("rotation").color
    server = d.box(3.4, 3.55, "server's network", width=1.6, color=color)
    average = d.box(6.0, 3.55, "federated_average", width=1.75)
    d.flow(average, server)
    for left, name in ((0.0, "client 1"), (4.75, "client K")):
        data = d.data(left + 0.65, 1.6, f"images,\nlabels of\n{name}", width=0.9)
        copied = d.box(left + 2.3, 1.6, f"copy of\n{name}", width=1.25, height=0.6, color=color)
        loss = d.box(left + 3.95, 1.6, f"loss of\n{name}", width=1.1, height=0.6)
        d.flow(data, copied)
        d.flow(copied, loss, back=True)
        d.arrow(server.side("bottom", -0.3 if left == 0.0 else 0.3), copied.side("top", -0.25))
        d.arrow(copied.side("top", 0.25), average.side("bottom", -0.3 if left == 0.0 else 0.3))
        d.note(left + 2.3, 0.98, f"{name}: local steps, on images that stay")
    d.note(1.75, 2.6, "goes out: the state", align="right")
    d.note(7.35, 2.6, "comes back: state and\nnumber of images", align="left")
    d.legend(0.3, 0.35, ("data", "gradient"))
    d.note(3.3, 0.35, "networks travel along the arrows between server and clients", align="left")
    words = (
        "Diagram of a round of federated averaging. The server's network goes out: the state is copied to each client. "
        "Client 1 trains its own copy: the images, labels of client 1 go into the copy of client 1, the loss of client "
        "1 compares predictions and labels, and the gradient flows back into the copy. Client K does the same with the "
        "images, labels of client K, its copy of client K and the loss of client K. Images and labels stay. What comes "
        "back from each client is its state and its number of images. Then federated_average makes one state of them, "
        "and it becomes the server's network for the next round."
    )
    return d.done(alt, words, title)

"""The networks that the units share, and their weights.

- captions.py: an image encoder and a caption encoder whose vectors can be compared
- images.py: small encoders, decoders and heads for images
- text.py: a transformer encoder and its layers, one vector per text, and predictions for many texts
- torchvision_models.py: torchvision's larger networks
- weights.py: first weights from a generator, eval mode, counting

Every network draws its first weights from a `torch.Generator` that you pass, never from torch's global one, so the same
seed gives the same network whatever ran before. Without a generator the weights are those of seed 0.

Images are float32 `(N, C, H, W)` with values in [0, 1].
"""

from course_lib.models.captions import TwoTowers
from course_lib.models.images import Classifier, ConvDecoder, ConvEncoder, LinearAutoencoder
from course_lib.models.text import TextEncoder, TextFeatures, TransformerLayers, predict_texts, predict_words
from course_lib.models.torchvision_models import TorchvisionEncoder, torchvision_backbone
from course_lib.models.weights import count_parameters, eval_mode, seed_parameters, seeded

__all__ = [
    "Classifier",
    "ConvDecoder",
    "ConvEncoder",
    "LinearAutoencoder",
    "TextEncoder",
    "TextFeatures",
    "TorchvisionEncoder",
    "TransformerLayers",
    "TwoTowers",
    "count_parameters",
    "eval_mode",
    "predict_texts",
    "predict_words",
    "seed_parameters",
    "seeded",
    "torchvision_backbone",
]

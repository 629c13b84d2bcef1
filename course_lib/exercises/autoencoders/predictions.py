"""What notebook 01 asks to predict, and the records that answer."""

from course_lib.exercises.predicting.questions import chance, choice, share

PREDICTIONS = (
    chance("below_pca", "the autoencoder has a lower error than PCA", "error_normal < pca_error_normal", "anomaly"),
    chance(
        "beats_the_blur",
        "an autoencoder that never saw noise beats the best blur",
        "autoencoder < gaussian_filter",
        "denoising",
    ),
    choice("detector", "which detects anomalies better", {"autoencoder": "autoencoder", "PCA": "pca"}, "anomaly"),
    share("pretrained_frozen", "accuracy of pretrained frozen features, ten labels per class", "autoencoder_frozen@10"),
    share("closer", "images for which another class is closer", "other_class_closer", "closeness", good=0),
)

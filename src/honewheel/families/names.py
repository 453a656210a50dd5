"""Words that the families share."""

ALL_LINEAR = "all-linear"  # target_modules: every linear layer but the output head
REPORT = "training.json"  # in the folder of a version: what its run was and did

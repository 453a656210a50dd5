"""Words that settings of several families share."""

ALL_LINEAR = "all-linear"  # target_modules: every linear layer but the output head

"""What leaves the house by itself: webhooks and MLflow, told of what the store says happened."""

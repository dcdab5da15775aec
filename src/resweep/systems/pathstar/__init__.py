"""Path-star graphs in the weights of a small GPT: `system: pathstar`."""

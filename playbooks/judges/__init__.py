"""One judge for each playbook's signal, named like its page: facts and thresholds in, a `Signal` out."""

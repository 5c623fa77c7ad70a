"""From both data sets to the fused cube: subspace, forward model, solution, errors."""

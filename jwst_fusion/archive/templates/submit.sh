#!/bin/sh
# {{ mark }} batch: runs {{ indices|length }} targets as an array of Slurm, then puts their products in place.
set -e
job=$(sbatch --parsable {{ (folder ~ "/array.sbatch")|sh }})
sbatch --dependency=afterany:"$job" {{ (folder ~ "/collect.sbatch")|sh }}

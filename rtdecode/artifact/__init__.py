"""The model artifact: one safetensors file with everything the runtime needs, and no pickle.

    artifact = read_artifact("today.safetensors")
    artifact.kind, artifact.n_channels, artifact.bin_width_s, artifact.model_id

Tensors are named `run.*` (what the engine reads) and `train.*` (what a calibration continues from);
one metadata entry, `rtdecode`, holds the rest as JSON. docs/model-files.md describes the file.
"""

from rtdecode.artifact.array import ElectrodeArray, arrays_of, check_arrays, check_same_arrays
from rtdecode.artifact.feature import (
    CODES_PER_SD,
    FEATURE_KINDS,
    LARGEST_CODE,
    Feature,
    FeatureColumn,
    FeatureKind,
)
from rtdecode.artifact.file import read_artifact, write_artifact, write_new_artifact
from rtdecode.artifact.model import ModelArtifact, check_counts_alone, count_max_at
from rtdecode.artifact.output import ROLES, Output, Role, infer_role
from rtdecode.artifact.tensors import METADATA_KEY, Arrays

__all__ = [
    "CODES_PER_SD",
    "FEATURE_KINDS",
    "LARGEST_CODE",
    "METADATA_KEY",
    "ROLES",
    "Arrays",
    "ElectrodeArray",
    "Feature",
    "FeatureColumn",
    "FeatureKind",
    "ModelArtifact",
    "Output",
    "Role",
    "arrays_of",
    "check_arrays",
    "check_counts_alone",
    "check_same_arrays",
    "count_max_at",
    "infer_role",
    "read_artifact",
    "write_artifact",
    "write_new_artifact",
]

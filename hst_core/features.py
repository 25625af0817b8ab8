"""Features of pictures, what a caller needs: choose a set, open a store, extract.

The sets are in :mod:`hst_core.feature_sets`, the stores in :mod:`hst_core.feature_stores`, the way
from a picture to a row in :mod:`hst_core.pictures`, :mod:`hst_core.forward` and
:mod:`hst_core.pooling`, and the pipeline around it in :mod:`hst_core.extraction`.
"""

from __future__ import annotations

from hst_core.extraction import ExtractReport, extract, extract_maps
from hst_core.feature_sets import FEATURE_SETS, FeatureBlock, FeatureSet, feature_set_named
from hst_core.feature_stores import WINDOWS, FeatureMapStore, FeatureStore, StoredMaps
from hst_core.forward import Precision, feature_maps, load_backbones
from hst_core.pictures import UnreadablePictureError, read_picture
from hst_core.row_store import FeatureStoreError

__all__ = [
    "FEATURE_SETS",
    "WINDOWS",
    "ExtractReport",
    "FeatureBlock",
    "FeatureMapStore",
    "FeatureSet",
    "FeatureStore",
    "FeatureStoreError",
    "Precision",
    "StoredMaps",
    "UnreadablePictureError",
    "extract",
    "extract_maps",
    "feature_maps",
    "feature_set_named",
    "load_backbones",
    "read_picture",
]

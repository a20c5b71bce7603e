"""The networks of the pipeline, one class each, in one table."""

from knuckle.stages.network import Network, NetworkFile, read_card, weights_folder
from knuckle.stages.table import STAGES, needed

__all__ = ["STAGES", "Network", "NetworkFile", "needed", "read_card", "weights_folder"]

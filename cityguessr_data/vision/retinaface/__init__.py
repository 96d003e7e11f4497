"""Face detection with RetinaFace: load_detector gives the one call; the modules below it are pure or thin.

net.py: the network. preprocess.py: what it is fed. boxes.py: what its numbers mean. torch_backend.py,
graph_backend.py: run it. onnx_graph.py: reads weights out of a published graph. onnx_write.py: writes ours as one.
pypi_adapter.py: the `retinaface-pytorch` package instead.
"""

from .detector import Detections, DetectorConfig, FaceDetector
from .load import Detector, load_detector

__all__ = ["Detections", "Detector", "DetectorConfig", "FaceDetector", "load_detector"]

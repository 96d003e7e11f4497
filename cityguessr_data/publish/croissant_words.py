"""The fixed parts of a croissant.json: the context of the standard, and sentences that describe the tables."""

from __future__ import annotations

from typing import Any

VERSION = "http://mlcommons.org/croissant/1.1"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""That of Croissant 1.1 with the vocabulary for responsible AI."""

DESCRIPTIONS = {
    "videos": "A row a source video: where it came from, its licence, its length and size.",
    "clips": "A row a clip: its span in the source video, its labels, its scene, its number of blurred faces.",
    "frames": "A row a saved frame: its number and time in the source video, its digest, its place in the shards.",
    "faces": "A row a blurred box: where it lies in px of the saved frame, its score, and who found it. What is not "
    "blurred is left out.",
    "split": "A row a clip: its part of this split.",
    "pictures": "The saved frames as JPEG, named by clip and position.",
    "jpegs": "A row a saved frame: its file name and its picture.",
    "sampling": "Each video was cut into clips of 800 to 900 frames or as its build says, of which frames at even "
    "steps were saved.",
    "labels": "City, state, country and continent come from the table of sources that people wrote, a row a video or "
    "span. Scenes, where there are any, come from a classifier.",
    "people": "The pictures show people in public places who were not asked. What remains beside the blur "
    "may still tell who somebody is, and when and where they were.",
    "bias": "Cities are there as often as people film and publish them: wealthy and visited places more than others.",
    "impact": "Models trained on it can tell where a video was filmed, which can be turned against the people in it.",
}

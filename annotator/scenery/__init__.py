"""Pens, objects and places that `annotator.scenes` draws the demo's pictures with."""

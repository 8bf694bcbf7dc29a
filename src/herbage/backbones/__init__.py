"""Backbones: frozen networks that turn images into class vectors and patch vectors."""

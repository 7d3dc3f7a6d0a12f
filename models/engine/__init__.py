"""A model file stepped in torch, which the runtime's engine is measured against."""

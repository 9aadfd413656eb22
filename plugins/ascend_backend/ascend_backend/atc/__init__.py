"""Converts a deployable model to an ``.om`` with Huawei's ``atc``, or prepares that for elsewhere."""
